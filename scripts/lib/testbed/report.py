"""What a user sees: short lines on stderr, and errors that say what to do next."""

import sys
import time
from contextlib import contextmanager

quiet = False


class BedError(Exception):
    """A failure a user can act on; shown without a traceback."""

    exit_code = 1


class UsageError(BedError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class NotRunning(BedError):
    """There is no bed, or it is stopped."""

    exit_code = 3


def say(text):
    if not quiet:
        print(f"testbed: {text}", file=sys.stderr, flush=True)


def warn(text):
    """Shown even with --quiet: something changed that the user did not ask for."""
    print(f"testbed: {text}", file=sys.stderr, flush=True)


@contextmanager
def timed(text):
    """Say `text` with the time it took, once it has worked."""
    began = time.monotonic()
    yield
    say(f"{text} ({time.monotonic() - began:.1f} s)")
