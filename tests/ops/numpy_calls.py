"""Calls of NumPy's functions with all their keywords: (function, positional arguments, keywords)."""

from __future__ import annotations

from typing import Any

import numpy as np

RNG = np.random.RandomState(0)
X = RNG.randn(2, 3)
S = RNG.randn(3, 3) + 3 * np.eye(3)
P = S @ S.T
B = RNG.randn(2, 3, 3) + 3 * np.eye(3)
V = RNG.randn(3)
L = np.linalg

MORE: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (np.concatenate, ([X, X],), {"axis": None}), (np.append, (X, V), {}), (np.append, (X, X), {"axis": 0}),
    (np.array_split, (V, 2), {}), (np.array_split, (X, [1, 2]), {"axis": 1}), (np.split, (X, 3), {"axis": 1}),
    (np.split, (V, [1, 2]), {}), (np.hsplit, (X, 3), {}), (np.vsplit, (X, 2), {}), (np.dsplit, (B, 3), {}),
    (np.stack, ([X, X],), {"axis": -1}), (np.hstack, ([V, V],), {}), (np.vstack, ([V, V],), {}),
    (np.dstack, ([V, V],), {}), (np.column_stack, ([V, V],), {}), (np.block, ([[S, S], [S, S]],), {}),
    (np.atleast_1d, (np.array(2.0),), {}), (np.atleast_2d, (V,), {}), (np.atleast_3d, (X,), {}),
    (np.atleast_2d, (V, V), {}), (np.rollaxis, (B, 2), {}), (np.rollaxis, (B, 0, 3), {}), (np.rollaxis, (B, 1), {"start": 0}),
    (np.pad, (X, 1), {}), (np.pad, (X, ((1, 0), (0, 2))), {"mode": "constant", "constant_values": 3.0}),
    (np.pad, (X, (1, 1)), {"mode": "reflect"}), (np.pad, (X, 1), {"mode": "edge"}), (np.pad, (X, 2), {"mode": "wrap"}),
    (np.pad, (X, 1), {"mode": "symmetric"}), (np.gradient, (X,), {}), (np.gradient, (V, 0.5), {}),
    (np.gradient, (B,), {"axis": 1}), (np.gradient, (V, np.array([0.0, 1.0, 3.0])), {}),
    (np.gradient, (S, 1.0, 2.0), {"edge_order": 2}), (np.partition, (V, 1), {}), (np.partition, (X, 2), {"axis": 1}),
    (np.take, (X, np.array([2, 0])), {"axis": 1}), (np.take, (X, 4), {}),
    (np.take_along_axis, (X, np.argsort(X, 1)), {"axis": 1}), (np.delete, (X, 1), {"axis": 1}),
    (np.rot90, (X,), {}), (np.rot90, (X,), {"k": 2}), (np.rot90, (B,), {"axes": (1, 2)}), (np.flipud, (X,), {}),
    (np.fliplr, (X,), {}), (np.sort, (X,), {"axis": None}), (np.argsort, (X,), {"axis": None}),
    (np.diff, (X,), {"n": 2, "axis": 1}), (np.diff, (V,), {"prepend": 0.0, "append": V}), (np.average, (X,), {"axis": 0}),
    (np.average, (X,), {"axis": 1, "weights": V}), (np.average, (X,), {"weights": np.abs(X)}), (np.ptp, (X,), {"axis": 0}),
    (np.linspace, (np.array(V[0]), np.array(V[1]), 5), {}), (np.linspace, (V, V + 1), {"num": 4, "endpoint": False}),
    (np.select, ([X > 0, X < -1], [X, 2 * X]), {"default": 1.0}), (np.meshgrid, (V, V), {}),
    (np.meshgrid, (V, V), {"indexing": "ij"}), (np.broadcast_arrays, (X, V), {}), (np.astype, (X, np.float64), {}),
    (np.real, (X,), {}), (np.imag, (X,), {}), (np.angle, (X,), {}), (np.cov, (X,), {}), (np.corrcoef, (X,), {}),
    (np.einsum, ("ij,kj->ik", X, X), {}), (np.einsum, ("ii", S), {}), (np.einsum, (X, [0, 1], X, [0, 1], [0]), {}),
    (np.tensordot, (X, X), {}), (np.tensordot, (X, S), {"axes": 1}), (np.tensordot, (B, S), {"axes": ([1, 2], [0, 1])}),
    (np.tensordot, (B, S), {"axes": (2, 0)}), (np.dot, (B, B), {}), (np.dot, (X, V), {}), (np.dot, (V, 2.0), {}),
    (np.inner, (X, X), {}), (np.inner, (B, S), {}), (np.outer, (X, V), {}), (np.vdot, (X, X), {}), (np.kron, (X, S), {}),
    (np.kron, (V, V), {}), (np.cross, (S, S[::-1]), {}), (np.cross, (S, S[::-1]), {"axis": 0}),
    (np.trace, (B,), {"offset": 1, "axis1": 1, "axis2": 2}), (np.matrix_transpose, (B,), {}),
    (np.transpose, (B,), {"axes": (1, 0, 2)}), (np.transpose, (B, (2, 0, 1)), {}), (np.permute_dims, (B, (2, 0, 1)), {}),
    (np.swapaxes, (B,), {"axis1": 0, "axis2": 2}), (np.moveaxis, (B,), {"source": 0, "destination": 2}),
    (np.reshape, (X, (3, 2)), {"order": "F"}), (np.reshape, (X, -1), {}), (np.ravel, (X,), {"order": "F"}),
    (np.expand_dims, (X,), {"axis": (0, 2)}), (np.diag, (S,), {"k": 1}), (np.diag, (V,), {"k": -1}), (np.tril, (S,), {"k": -1}),
    (np.triu, (S,), {"k": 1}), (np.diagonal, (B,), {"offset": 1, "axis1": 1, "axis2": 2}), (np.repeat, (X,), {"repeats": 2}),
    (np.roll, (X,), {"shift": (1, 1), "axis": (0, 1)}), (np.broadcast_to, (V, (2, 3)), {}), (np.isclose, (X, X), {"atol": 0.1}),
    (np.allclose, (X, X + 1), {"rtol": 0.1}), (np.squeeze, (X[:, None],), {"axis": 1}),
    (L.norm, (V,), {}), (L.norm, (X,), {}), (L.norm, (X,), {"ord": 1}), (L.norm, (X,), {"ord": "nuc"}),
    (L.norm, (X,), {"axis": 1}), (L.norm, (X,), {"axis": 0, "ord": 3, "keepdims": True}), (L.norm, (B,), {"axis": (1, 2)}),
    (L.norm, (V,), {"ord": np.inf}), (L.norm, (B,), {}), (L.svdvals, (X,), {}), (L.svd, (S,), {"compute_uv": False}),
    (L.eigvalsh, (P,), {}), (L.cholesky, (P,), {}), (L.cholesky, (P,), {"upper": True}), (L.solve, (S, V), {}),
    (L.solve, (B, B), {}), (L.inv, (B,), {}), (L.det, (B,), {}), (L.slogdet, (S,), {}), (L.pinv, (X,), {}),
    (L.matrix_power, (S, 3), {}), (L.multi_dot, ([X, S, V],), {}), (L.tensorsolve, (S, V), {}),
    (L.tensorinv, (S.reshape(3, 3),), {"ind": 1}), (L.vector_norm, (X,), {"axis": 1}), (L.matrix_norm, (B,), {}),
    (L.trace, (B,), {}), (L.diagonal, (B,), {}), (L.matmul, (X, S), {}), (L.outer, (V, V), {}),
    (L.tensordot, (X, S), {"axes": 1}), (L.cross, (S, S[::-1]), {}), (L.matrix_transpose, (B,), {}),
]  # fmt: skip

SPECTRAL = [(L.svd, (S,), {}), (L.eigh, (P,), {}), (L.qr, (S,), {})]  # signs are free: only products are compared
