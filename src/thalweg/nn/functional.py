"""The operations of networks as functions, by PyTorch's names."""

from __future__ import annotations

from ..ops.dense import bilinear as bilinear
from ..ops.dense import linear as linear
from ..ops.losses import cross_entropy as cross_entropy
from ..ops.losses import l1_loss as l1_loss
from ..ops.losses import mse_loss as mse_loss
from ..ops.losses import nll_loss as nll_loss
from ..ops.pointwise import relu as relu
from ..ops.pointwise import sigmoid as sigmoid
from ..ops.pointwise import tanh as tanh
from ..ops.softmax import log_softmax as log_softmax
from ..ops.softmax import softmax as softmax
from ..ops.softmax import softmin as softmin
