"""Compiled descent: a function captured as a program, its step, its loop and its sweep in machine code."""

from .compiled import Compiled as Compiled
from .compiled import Sweep as Sweep
from .compiled import compile as compile
from .program import Program as Program
from .store import clear_cache as clear_cache
from .threads import get_num_threads as get_num_threads
from .threads import set_num_threads as set_num_threads

__all__ = ["Compiled", "Program", "Sweep", "clear_cache", "compile", "get_num_threads", "set_num_threads"]
