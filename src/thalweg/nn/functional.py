"""The operations of networks as functions, by PyTorch's names."""

from __future__ import annotations

from ..ops.activations import celu as celu
from ..ops.activations import elu as elu
from ..ops.activations import gelu as gelu
from ..ops.activations import glu as glu
from ..ops.activations import hardshrink as hardshrink
from ..ops.activations import hardsigmoid as hardsigmoid
from ..ops.activations import hardswish as hardswish
from ..ops.activations import hardtanh as hardtanh
from ..ops.activations import leaky_relu as leaky_relu
from ..ops.activations import logsigmoid as logsigmoid
from ..ops.activations import mish as mish
from ..ops.activations import prelu as prelu
from ..ops.activations import relu6 as relu6
from ..ops.activations import rrelu as rrelu
from ..ops.activations import selu as selu
from ..ops.activations import silu as silu
from ..ops.activations import softplus as softplus
from ..ops.activations import softshrink as softshrink
from ..ops.activations import softsign as softsign
from ..ops.activations import tanhshrink as tanhshrink
from ..ops.activations import threshold as threshold
from ..ops.conv import conv1d as conv1d
from ..ops.conv import conv2d as conv2d
from ..ops.conv import conv3d as conv3d
from ..ops.conv import conv_transpose1d as conv_transpose1d
from ..ops.conv import conv_transpose2d as conv_transpose2d
from ..ops.conv import conv_transpose3d as conv_transpose3d
from ..ops.dense import bilinear as bilinear
from ..ops.dense import linear as linear
from ..ops.inplace_pointwise import celu_ as celu_
from ..ops.inplace_pointwise import elu_ as elu_
from ..ops.inplace_pointwise import hardtanh_ as hardtanh_
from ..ops.inplace_pointwise import leaky_relu_ as leaky_relu_
from ..ops.inplace_pointwise import relu_ as relu_
from ..ops.inplace_pointwise import rrelu_ as rrelu_
from ..ops.inplace_pointwise import selu_ as selu_
from ..ops.inplace_pointwise import threshold_ as threshold_
from ..ops.losses import cross_entropy as cross_entropy
from ..ops.losses import l1_loss as l1_loss
from ..ops.losses import mse_loss as mse_loss
from ..ops.losses import nll_loss as nll_loss
from ..ops.padding import pad as pad
from ..ops.pointwise import relu as relu
from ..ops.pointwise import sigmoid as sigmoid
from ..ops.pointwise import tanh as tanh
from ..ops.pool import *
from ..ops.softmax import log_softmax as log_softmax
from ..ops.softmax import softmax as softmax
from ..ops.softmax import softmin as softmin
