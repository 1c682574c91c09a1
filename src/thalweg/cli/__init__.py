"""The command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]

BROKEN_PIPE = 128 + 13  # as the shell shows a program that SIGPIPE ended
INTERRUPTED = 128 + 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status: 0, 1 for what failed, 2 for a mistake in the command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _run(given)
    except KeyboardInterrupt:  # while packages are loaded
        print("thalweg: stopped.", file=sys.stderr)
        status = INTERRUPTED
    sys.exit(status)


def _run(given: list[str]) -> int:
    try:
        import click
        import rich  # noqa: F401  (needed by what is imported next)
    except ImportError as error:
        missing = (error.name or "click").split(".")[0]
        print(f"thalweg: the command line needs {missing}; pip install 'thalweg[lab]'.", file=sys.stderr)
        return 1
    from ..errors import MissingExtra, ThalwegError
    from .app import WrongCommand, app
    from .atlas import Mistake

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    status = 0
    try:
        # not app.main(): it turns a closed pipe into status 1 by itself
        with app.make_context("thalweg", given) as context:
            status = app.invoke(context) or 0
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        status = done.exit_code
    except (click.exceptions.NoArgsIsHelpError, Mistake) as error:
        error.show()
        status = error.exit_code
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "thalweg"
        print(f"{where}: {error.format_message().rstrip('.')}; see {where} --help.", file=sys.stderr)
        status = error.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except WrongCommand as error:
        print(f"thalweg: {error}", file=sys.stderr)
        status = 2
    except (MissingExtra, ThalwegError) as error:
        print(f"thalweg: {error}", file=sys.stderr)
        status = 1
    except (KeyboardInterrupt, click.Abort):
        print("thalweg: stopped.", file=sys.stderr)
        status = INTERRUPTED
    except BrokenPipeError:
        # the reader has gone: say nothing, and keep the interpreter from flushing into the closed pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = BROKEN_PIPE
    except OSError as error:
        what = f"{error.filename} cannot be read or written" if error.filename else "the output cannot be written"
        print(f"thalweg: {what} ({error.strerror or error}).", file=sys.stderr)
        status = 1
    return status
