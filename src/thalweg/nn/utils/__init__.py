"""Clipping gradients, parameters as one vector, parametrisations, and sequences of different lengths."""

from . import parametrizations as parametrizations
from . import parametrize as parametrize
from . import rnn as rnn
from .clip import clip_grad_norm_ as clip_grad_norm_
from .clip import clip_grad_value_ as clip_grad_value_
from .clip import get_total_norm as get_total_norm
from .reweighting import remove_spectral_norm as remove_spectral_norm
from .reweighting import remove_weight_norm as remove_weight_norm
from .reweighting import spectral_norm as spectral_norm
from .reweighting import weight_norm as weight_norm
from .vector import parameters_to_vector as parameters_to_vector
from .vector import vector_to_parameters as vector_to_parameters
