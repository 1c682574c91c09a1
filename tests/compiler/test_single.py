"""Functions of float32 in its own arithmetic, against double precision over the whole range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")
special = pytest.importorskip("scipy.special")

from numba import njit  # noqa: E402

from thalweg.compiler.kernels import single  # noqa: E402

STEP = 40_009  # between the bit patterns that are tried
EXTREME = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.2e-38, 3.4e38, -3.4e38, -1.0, 1.0, 0.625, 88.8, -87.4]


def numbers() -> Any:
    """Return float32 numbers of every size, infinite ones, NaN, and more of usual size."""
    every = np.arange(0, 2**32, STEP, dtype=np.uint64).astype(np.uint32).view(np.float32)
    rng = np.random.default_rng(0)
    usual = np.concatenate([rng.standard_normal(50_000) * scale for scale in (0.05, 1, 4, 20)])
    return np.concatenate([every, usual.astype(np.float32), np.array(EXTREME, np.float32)])


def gelu(x: Any) -> Any:
    return x * special.ndtr(x)


def density(x: Any) -> Any:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def gelu_tanh(x: Any) -> Any:
    return x * special.expit(np.sqrt(8 / np.pi) * (x + 0.044715 * x**3))


def gelu_tanh_slope(x: Any) -> Any:
    u = np.sqrt(8 / np.pi) * (x + 0.044715 * x**3)
    slope = np.sqrt(8 / np.pi) * (x + 3 * 0.044715 * x**3)
    return special.expit(u) * (1 + slope * special.expit(-u))


FUNCTIONS: dict[str, Any] = {  # what it computes, and how many units in the last place it may err
    "exp_f4": (np.exp, 1.1),
    "expm1_f4": (np.expm1, 1.6),
    "log1p_f4": (np.log1p, 1.6),
    "tanh_f4": (np.tanh, 1.7),
    "erf_f4": (special.erf, 1.3),
    "erfc_f4": (special.erfc, 2.3),
    "normal_share_f4": (special.ndtr, 2.3),
    "gelu_f4": (gelu, 2.8),
    "gelu_tanh_f4": (gelu_tanh, 2.7),
    "sigmoid_f4": (special.expit, 2.4),
    "softplus_f4": (lambda x: np.logaddexp(x, 0), 2.0),
    "erf_slope_f4": (lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x), 2.0),
    "normal_density_f4": (density, 2.0),
}
SLOPES: dict[str, Any] = {  # which pass through 0, where the unit is that of a number of a quarter
    "gelu_slope_f4": (lambda x: special.ndtr(x) + x * density(x), 7.0),
    "gelu_tanh_slope_f4": (gelu_tanh_slope, 7.0),
}


def computed(name: str, x: Any) -> Any:
    function = getattr(single, name)

    @njit(error_model="numpy")
    def every(x: Any, out: Any) -> None:
        for k in range(x.shape[0]):
            out[k] = function(x[k])

    out = np.empty_like(x)
    every(x, out)
    return out


def unit(exact: Any) -> Any:
    """Return the distance of the two float32 numbers around each number."""
    safe = np.where((exact == 0) | ~np.isfinite(exact), 1e-45, np.abs(exact))
    return np.maximum(2.0 ** (np.floor(np.log2(safe)) - 23), 2.0**-149)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_over_the_whole_range(name: str) -> None:
    function, limit = FUNCTIONS[name]
    x = numbers()
    found = computed(name, x)
    with np.errstate(all="ignore"):
        exact = function(x.astype(np.float64))
        rounded = exact.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(rounded))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(rounded))
    finite = np.isfinite(found)
    np.testing.assert_array_equal(found[~finite], rounded[~finite])
    error = np.abs(found[finite] - exact[finite]) / unit(exact[finite])
    assert error.max() <= limit, x[finite][error.argmax()]
    zero = x == 0
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(rounded[zero]))


@pytest.mark.parametrize("name", SLOPES)
def test_error_of_derivatives(name: str) -> None:
    function, limit = SLOPES[name]
    x = numbers()
    found = computed(name, x)
    assert np.isnan(found[np.isnan(x)]).all()
    x, found = x[np.abs(x) < 1e10], found[np.abs(x) < 1e10]
    with np.errstate(all="ignore"):
        exact = function(x.astype(np.float64))
    error = np.abs(found - exact)
    assert (error <= limit * unit(exact) + 2.0**-24 * (np.abs(x + 1) < 1)).all()
    assert (error <= 2.9 * unit(np.maximum(np.abs(exact), 0.25))).all()
