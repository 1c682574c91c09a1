"""Helpers around training: data sets, samplers and loaders."""

from . import data as data
