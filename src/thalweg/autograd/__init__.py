"""Differentiation: gradients, modes, hooks, checking, forward mode, drawing."""

from . import forward_ad as forward_ad
from .gradients import backward as backward
from .gradients import grad as grad
from .modes import enable_grad as enable_grad
from .modes import inference_mode as inference_mode
from .modes import is_grad_enabled as is_grad_enabled
from .modes import no_grad as no_grad
from .modes import set_grad_enabled as set_grad_enabled
