"""The operations of networks as functions, by PyTorch's names; most are defined in the file they are imported from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError
from ..ops import pointwise
from ..ops._coerce import as_tensor
from ..ops.activations import *
from ..ops.activations import sigmoid as sigmoid
from ..ops.activations import tanh as tanh
from ..ops.conv import *
from ..ops.dense import *
from ..ops.dropout import *
from ..ops.embedding import *
from ..ops.fractional import *
from ..ops.inplace_pointwise import celu_ as celu_
from ..ops.inplace_pointwise import elu_ as elu_
from ..ops.inplace_pointwise import hardtanh_ as hardtanh_
from ..ops.inplace_pointwise import leaky_relu_ as leaky_relu_
from ..ops.inplace_pointwise import relu_ as relu_
from ..ops.inplace_pointwise import rrelu_ as rrelu_
from ..ops.inplace_pointwise import selu_ as selu_
from ..ops.inplace_pointwise import threshold_ as threshold_
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
from ..ops.unpool import *
from ..ops.windows import *

if TYPE_CHECKING:
    from ..ops.tensor import Tensor


def relu(input: Any, inplace: bool = False) -> Tensor:
    """Positive part of each element; its derivative at 0 is 0."""
    return relu_(input) if inplace else pointwise.relu(input)


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """``softmax((logits + G) / tau)`` along `dim`, G drawn from Gumbel's distribution (Jang, Gu, Poole 2017).

    With `hard`, unit vectors at the largest elements, with the gradient of the soft result. `eps` changes nothing.

    >>> import thalweg as tw
    >>> picked = gumbel_softmax(tw.zeros(3, 4), tau=0.5, hard=True)
    >>> picked.shape, picked.sum().item()
    (thalweg.Size([3, 4]), 3.0)
    """
    if not tau > 0:
        raise ArgumentError(f"gumbel_softmax: tau must be a number > 0, got {tau}.")
    x: Any = as_tensor(logits)
    noise = -x.detach().clone().exponential_().log()
    soft = softmax((x + noise) / tau, dim)
    if not hard:
        return soft
    soft_: Any = soft
    at = soft_.argmax(dim, keepdim=True)
    unit: Any = soft_.detach() * 0
    return unit.scatter(dim, at, 1.0) - soft_.detach() + soft_  # type: ignore[no-any-return]
