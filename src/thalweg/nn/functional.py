"""The operations of networks as functions, by PyTorch's names; each is defined in the file it is imported from."""

from __future__ import annotations

from ..ops.activations import *
from ..ops.activations import relu as relu
from ..ops.activations import sigmoid as sigmoid
from ..ops.activations import tanh as tanh
from ..ops.conv import *
from ..ops.dense import *
from ..ops.dropout import *
from ..ops.embedding import *
from ..ops.likelihoods import *
from ..ops.losses import cross_entropy as cross_entropy
from ..ops.losses import huber_loss as huber_loss
from ..ops.losses import l1_loss as l1_loss
from ..ops.losses import mse_loss as mse_loss
from ..ops.losses import smooth_l1_loss as smooth_l1_loss
from ..ops.margins import *
from ..ops.nll import *
from ..ops.norms import *
from ..ops.padding import *
from ..ops.pool import *
from ..ops.resize import *
from ..ops.similarity import *
from ..ops.softmax import *
from ..ops.windows import *
