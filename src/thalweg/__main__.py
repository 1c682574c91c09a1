"""``python -m thalweg``: the command line."""

from .cli import main

main()
