"""The atlas: every experiment and exercise of the optimization chapter as a named item that runs here."""

from .entry import Entry as Entry
from .entry import Outcome as Outcome
from .entry import Row as Row
from .entry import entries as entries
from .entry import find as find
from .run import check as check
from .run import run as run
