"""Values and gradients at the edges of the range, against PyTorch: infinities, NaN, huge and singular."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.conformance

INF, NAN = float("inf"), float("nan")
ENDS = [INF, -INF, 0.0, -1.0, 1e30]
HUGE = [1e30, 2e30, 3e30]
CASES: list[tuple[str, Callable[[Any, Any], Any], list[Any]]] = [
    ("std", lambda lib, x: lib.std(x), HUGE),
    ("std of small", lambda lib, x: lib.std(x, 0), [1e-30, 2e-30]),
    ("elu", lambda lib, x: lib.nn.functional.elu(x), [*ENDS, NAN][:3]),
    ("selu", lambda lib, x: lib.nn.functional.selu(x), ENDS),
    ("celu", lambda lib, x: lib.nn.functional.celu(x, 0.5), ENDS),
    ("elu of NaN", lambda lib, x: lib.nn.functional.elu(x), [NAN]),
    ("softplus", lambda lib, x: lib.nn.functional.softplus(x), ENDS),
    ("silu", lambda lib, x: lib.nn.functional.silu(x), ENDS),
    ("mish", lambda lib, x: lib.nn.functional.mish(x), ENDS),
    ("logsigmoid", lambda lib, x: lib.nn.functional.logsigmoid(x), ENDS),
    ("huber", lambda lib, x: lib.nn.functional.huber_loss(x, lib.zeros_like(x), reduction="sum"), [*ENDS, NAN]),
    ("huber to infinity", lambda lib, x: lib.nn.functional.huber_loss(x, lib.full_like(x, INF), reduction="sum"), ENDS),
    ("smooth_l1", lambda lib, x: lib.nn.functional.smooth_l1_loss(x, lib.zeros_like(x), reduction="sum"), [*ENDS, NAN]),
    ("logsumexp", lambda lib, x: lib.logsumexp(x, 0), [1.0, INF]),
    ("logsumexp of nothing", lambda lib, x: lib.logsumexp(x, 0), [-INF, -INF]),
    ("lgamma", lambda lib, x: lib.lgamma(x), [-INF, INF, 0.5]),
    ("digamma", lambda lib, x: lib.digamma(x), [0.0, -0.5, -10.5, 1e10, -INF, INF]),
    ("slogdet", lambda lib, x: lib.linalg.slogdet(x)[1], [[1.0, 2.0], [2.0, 4.0]]),
    ("slogdet of zeros", lambda lib, x: lib.linalg.slogdet(x)[1], [[1.0, 0.0], [0.0, 0.0]]),
    ("slogdet of NaN", lambda lib, x: lib.linalg.slogdet(x)[1], [[NAN, 1.0], [1.0, 1.0]]),
    ("logdet", lambda lib, x: lib.logdet(x), [[1.0, 2.0], [2.0, 4.0]]),
    ("pinv", lambda lib, x: lib.linalg.pinv(x) * 1e18, [[1e18, 2e18], [3e18, 5e18], [1e18, 0.0]]),
    ("vector_norm", lambda lib, x: lib.linalg.vector_norm(x), [INF, 1.0]),
]  # fmt: skip


@pytest.mark.parametrize("width", ["float32", "float64"])
@pytest.mark.parametrize(("name", "function", "values"), CASES, ids=[c[0] for c in CASES])
def test_value_and_gradient(name: str, function: Any, values: list[Any], width: str) -> None:
    ours = tw.tensor(values, dtype=getattr(tw, width), requires_grad=True)
    theirs = torch.tensor(values, dtype=getattr(torch, width), requires_grad=True)
    got, want = function(tw, ours), function(torch, theirs)
    got.sum().backward()
    want.sum().backward()
    rtol = 1e-4 if width == "float32" else 1e-9
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=rtol, atol=0, equal_nan=True)
    scale = np.abs(theirs.grad.numpy()[np.isfinite(theirs.grad.numpy())]).max(initial=0)
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=rtol, atol=rtol * scale, equal_nan=True)


def test_least_squares_of_large_numbers() -> None:
    a = np.random.default_rng(0).standard_normal((4, 3)) * 1e18
    b = np.random.default_rng(1).standard_normal((4, 2)) * 1e18
    for width, rtol in (("float32", 1e-4), ("float64", 1e-10)):
        got = tw.linalg.lstsq(tw.tensor(a, dtype=getattr(tw, width)), tw.tensor(b, dtype=getattr(tw, width))).solution
        want = torch.linalg.lstsq(
            torch.tensor(a, dtype=getattr(torch, width)), torch.tensor(b, dtype=getattr(torch, width))
        ).solution
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=rtol)
