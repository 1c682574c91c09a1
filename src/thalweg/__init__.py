"""thalweg: differentiation and descent."""

import warnings as _warnings

# The smallest operations skip the cost of silencing NumPy; see ops/_elementwise.py.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"thalweg\.(ops|core)\.")

from . import autograd as autograd
from . import func as func
from . import nn as nn
from . import optim as optim
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
from .ops.arithmetic import *
from .ops.create import *
from .ops.pointwise import *
from .ops.printing import set_printoptions as set_printoptions
from .ops.products import *
from .ops.random import *
from .ops.reduce import *
from .ops.shape import *
from .ops.softmax import log_softmax as log_softmax
from .ops.softmax import softmax as softmax
from .ops.tensor import Tensor as Tensor
from .ops.tensor import is_tensor as is_tensor

double = float64
float = float32
long = int64
int = int32
