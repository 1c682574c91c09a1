"""Helpers around training: data sets, samplers and loaders."""

from . import checkpoint as checkpoint
from . import data as data
from . import dlpack as dlpack
