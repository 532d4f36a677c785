"""How a command ends: a user's mistake is one message and an exit code, a bug keeps its traceback."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from dmdnet.errors import DMDNetError

Command = Callable[[argparse.Namespace], int]
INTERRUPTED = 130


def reported(command: Command, arguments: argparse.Namespace) -> int:
    """Run a command and return its exit code; print a `DMDNetError` as `error: ...`."""
    try:
        return command(arguments)
    except DMDNetError as error:
        report(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def report(error: DMDNetError) -> None:
    """Print an error as the user is to read it."""
    print(f"error: {error}", file=sys.stderr)


def is_first_process() -> bool:
    """Return whether this process speaks for all: they read the same options and would all say the same."""
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
