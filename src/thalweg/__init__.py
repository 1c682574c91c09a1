"""thalweg: differentiation and descent."""

import warnings as _warnings
from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi

# The smallest operations skip the cost of silencing NumPy; see ops/_elementwise.py.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"thalweg\.(ops|core)\.")

from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import autograd as autograd
from .autograd.anomaly import is_anomaly_check_nan_enabled as is_anomaly_check_nan_enabled
from .autograd.anomaly import is_anomaly_enabled as is_anomaly_enabled
from .autograd.modes import enable_grad as enable_grad
from .autograd.modes import inference_mode as inference_mode
from .autograd.modes import is_grad_enabled as is_grad_enabled
from .autograd.modes import is_inference_mode_enabled as is_inference_mode_enabled
from .autograd.modes import no_grad as no_grad
from .autograd.modes import set_grad_enabled as set_grad_enabled
from .core.dtype import bool_ as bool
from .core.dtype import dtype as dtype
from .core.dtype import float32 as float32
from .core.dtype import float64 as float64
from .core.dtype import int32 as int32
from .core.dtype import int64 as int64
from .core.dtype import uint8 as uint8
from .core.tensor import Size as Size
from .ops import backends as backends
from .ops import cuda as cuda
from .ops import random as random
from .ops import return_types as return_types
from .ops import special as special
from .ops.activations import celu as celu
from .ops.activations import hardshrink as hardshrink
from .ops.activations import prelu as prelu
from .ops.activations import rrelu as rrelu
from .ops.activations import selu as selu
from .ops.activations import threshold as threshold
from .ops.arithmetic import *
from .ops.arrange import *
from .ops.combine import *
from .ops.create import *
from .ops.device import device as device
from .ops.diagonals import *
from .ops.distances import *
from .ops.distributions import *
from .ops.dlpack import from_dlpack as from_dlpack
from .ops.einsum import *
from .ops.extremes import *
from .ops.gather import *
from .ops.index import index_put as index_put
from .ops.index import index_put_ as index_put_
from .ops.inplace import clamp_ as clamp_
from .ops.inplace import clamp_max_ as clamp_max_
from .ops.inplace import clamp_min_ as clamp_min_
from .ops.inplace import clip_ as clip_
from .ops.inplace import fill as fill
from .ops.inplace import fill_ as fill_
from .ops.inplace import ldexp_ as ldexp_
from .ops.inplace import xlogy_ as xlogy_
from .ops.inplace import zero_ as zero_
from .ops.inplace_pointwise import abs_ as abs_
from .ops.inplace_pointwise import acos_ as acos_
from .ops.inplace_pointwise import acosh_ as acosh_
from .ops.inplace_pointwise import arccos_ as arccos_
from .ops.inplace_pointwise import arccosh_ as arccosh_
from .ops.inplace_pointwise import arcsin_ as arcsin_
from .ops.inplace_pointwise import arcsinh_ as arcsinh_
from .ops.inplace_pointwise import arctan_ as arctan_
from .ops.inplace_pointwise import arctanh_ as arctanh_
from .ops.inplace_pointwise import asin_ as asin_
from .ops.inplace_pointwise import asinh_ as asinh_
from .ops.inplace_pointwise import atan_ as atan_
from .ops.inplace_pointwise import atanh_ as atanh_
from .ops.inplace_pointwise import ceil_ as ceil_
from .ops.inplace_pointwise import celu_ as celu_
from .ops.inplace_pointwise import cos_ as cos_
from .ops.inplace_pointwise import cosh_ as cosh_
from .ops.inplace_pointwise import deg2rad_ as deg2rad_
from .ops.inplace_pointwise import erf_ as erf_
from .ops.inplace_pointwise import erfc_ as erfc_
from .ops.inplace_pointwise import exp2_ as exp2_
from .ops.inplace_pointwise import exp_ as exp_
from .ops.inplace_pointwise import expm1_ as expm1_
from .ops.inplace_pointwise import fix_ as fix_
from .ops.inplace_pointwise import floor_ as floor_
from .ops.inplace_pointwise import frac_ as frac_
from .ops.inplace_pointwise import i0_ as i0_
from .ops.inplace_pointwise import log1p_ as log1p_
from .ops.inplace_pointwise import log2_ as log2_
from .ops.inplace_pointwise import log10_ as log10_
from .ops.inplace_pointwise import log_ as log_
from .ops.inplace_pointwise import logit_ as logit_
from .ops.inplace_pointwise import nan_to_num_ as nan_to_num_
from .ops.inplace_pointwise import neg_ as neg_
from .ops.inplace_pointwise import negative_ as negative_
from .ops.inplace_pointwise import rad2deg_ as rad2deg_
from .ops.inplace_pointwise import reciprocal_ as reciprocal_
from .ops.inplace_pointwise import relu_ as relu_
from .ops.inplace_pointwise import round_ as round_
from .ops.inplace_pointwise import rrelu_ as rrelu_
from .ops.inplace_pointwise import rsqrt_ as rsqrt_
from .ops.inplace_pointwise import selu_ as selu_
from .ops.inplace_pointwise import sigmoid_ as sigmoid_
from .ops.inplace_pointwise import sin_ as sin_
from .ops.inplace_pointwise import sinc_ as sinc_
from .ops.inplace_pointwise import sinh_ as sinh_
from .ops.inplace_pointwise import sqrt_ as sqrt_
from .ops.inplace_pointwise import square_ as square_
from .ops.inplace_pointwise import tan_ as tan_
from .ops.inplace_pointwise import tanh_ as tanh_
from .ops.inplace_pointwise import threshold_ as threshold_
from .ops.inplace_pointwise import trunc_ as trunc_
from .ops.join import *
from .ops.layout import contiguous_format as contiguous_format
from .ops.layout import memory_format as memory_format
from .ops.layout import preserve_format as preserve_format
from .ops.limits import *
from .ops.linalg_factors import cholesky_inverse as cholesky_inverse
from .ops.linalg_factors import cholesky_legacy as cholesky
from .ops.linalg_factors import cholesky_solve as cholesky_solve
from .ops.linalg_factors import lu_solve_legacy as lu_solve
from .ops.linalg_factors import qr_legacy as qr
from .ops.linalg_least_squares import pinverse as pinverse
from .ops.linalg_norms import cdist as cdist
from .ops.linalg_products import matrix_exp as matrix_exp
from .ops.linalg_products import matrix_power as matrix_power
from .ops.linalg_solve import det as det
from .ops.linalg_solve import inv as inverse
from .ops.linalg_solve import logdet as logdet
from .ops.linalg_solve import slogdet as slogdet
from .ops.linalg_solve import triangular_solve as triangular_solve
from .ops.linalg_spectral import svd_legacy as svd
from .ops.logic import *
from .ops.masks import *
from .ops.pointwise import *
from .ops.printing import set_printoptions as set_printoptions
from .ops.products import *
from .ops.random import *
from .ops.reduce import *
from .ops.rounding import *
from .ops.scan import *
from .ops.scatter_reduce import *
from .ops.shape import *
from .ops.softmax import log_softmax as log_softmax
from .ops.softmax import softmax as softmax
from .ops.sort import *
from .ops.special import digamma as digamma
from .ops.special import erf as erf
from .ops.special import erfc as erfc
from .ops.special import erfinv as erfinv
from .ops.special import i0 as i0
from .ops.special import lgamma as lgamma
from .ops.special import mvlgamma as mvlgamma
from .ops.special import polygamma as polygamma
from .ops.statistics import *
from .ops.strided import *
from .ops.tensor import Tensor as Tensor
from .ops.tensor import is_tensor as is_tensor

double = float64
float = float32
long = int64
int = int32
newaxis = None

if _TYPE_CHECKING:
    from . import analysis as analysis
    from . import compiler as compiler
    from . import constraints as constraints
    from . import data as data
    from . import func as func
    from . import linalg as linalg
    from . import minimize as minimize
    from . import nn as nn
    from . import optim as optim
    from . import problems as problems
    from . import utils as utils
    from .compiler import compile as compile
    from .compiler import get_num_threads as get_num_threads
    from .compiler import set_num_threads as set_num_threads
    from .func import vmap as vmap
    from .ops.conv import conv1d as conv1d
    from .ops.conv import conv2d as conv2d
    from .ops.conv import conv3d as conv3d
    from .ops.conv import conv_transpose1d as conv_transpose1d
    from .ops.conv import conv_transpose2d as conv_transpose2d
    from .ops.conv import conv_transpose3d as conv_transpose3d
    from .ops.dense import bilinear as bilinear
    from .ops.norms import group_norm as group_norm
    from .ops.norms import layer_norm as layer_norm
    from .ops.norms import rms_norm as rms_norm
    from .ops.pool import adaptive_avg_pool1d as adaptive_avg_pool1d
    from .ops.pool import avg_pool1d as avg_pool1d
    from .ops.pool import max_pool1d as max_pool1d
    from .ops.pool import max_pool2d as max_pool2d
    from .ops.pool import max_pool3d as max_pool3d
    from .ops.similarity import cosine_similarity as cosine_similarity
    from .ops.similarity import pairwise_distance as pairwise_distance
    from .ops.similarity import pdist as pdist
    from .ops.windows import channel_shuffle as channel_shuffle
    from .ops.windows import pixel_shuffle as pixel_shuffle
    from .ops.windows import pixel_unshuffle as pixel_unshuffle
    from .serialization import load as load
    from .serialization import save as save

# What is loaded when it is first asked for: the kits of rooms 3 to 5, so that `import thalweg` stays quick.
_KITS = (
    "analysis", "compiler", "constraints", "data", "func", "linalg", "minimize", "nn", "optim", "problems", "utils",
)  # fmt: skip
_FROM = {
    "compile": "compiler", "get_num_threads": "compiler", "set_num_threads": "compiler",
    "load": "serialization", "save": "serialization", "vmap": "func",
    # operations of networks that PyTorch has at the top too
    "conv1d": "ops.conv", "conv2d": "ops.conv", "conv3d": "ops.conv",
    "conv_transpose1d": "ops.conv", "conv_transpose2d": "ops.conv", "conv_transpose3d": "ops.conv",
    "bilinear": "ops.dense", "group_norm": "ops.norms", "layer_norm": "ops.norms", "rms_norm": "ops.norms",
    "adaptive_avg_pool1d": "ops.pool", "avg_pool1d": "ops.pool",
    "max_pool1d": "ops.pool", "max_pool2d": "ops.pool", "max_pool3d": "ops.pool",
    "cosine_similarity": "ops.similarity", "pairwise_distance": "ops.similarity", "pdist": "ops.similarity",
    "channel_shuffle": "ops.windows", "pixel_shuffle": "ops.windows", "pixel_unshuffle": "ops.windows",
}  # fmt: skip


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _KITS:
        return import_module(f"{__name__}.{name}")
    if name in _FROM:
        found = getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
        globals()[name] = found
        return found
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("thalweg")
        except PackageNotFoundError:
            return "unknown"
    raise AttributeError(f"module 'thalweg' has no attribute {name!r}.")


def __dir__() -> list[str]:
    return sorted({*globals(), *_KITS, *_FROM})
