"""What the story looks like: chapters, commands with what they print, and its end by an error."""

import os
import shlex
import subprocess
import sys
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


class Failed(Exception):
    """Ends the story with a message that says what to do."""


def paint(code, text):
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def tell(text):
    print(textwrap.fill(" ".join(text.split()), 92), flush=True)


def chapter(number, title):
    print(f"\n{paint('1', f'{number}. {title}')}\n", flush=True)


def show(text):
    print("\n" + textwrap.indent(paint("36", text), "    ") + "\n", flush=True)


def seconds(since):
    return f"{time.monotonic() - since:.1f} s"


def run(command, *, capture=False):
    """Shows a command, runs it, and returns what it printed when that is wanted."""
    show("$ " + shlex.join(str(word) for word in command))
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if capture else None, text=True, check=False,
    )
    if capture:
        print(textwrap.indent(done.stdout.rstrip(), "    "), flush=True)
    if done.returncode != 0:
        raise Failed(f"`{command[0]}` ended with exit code {done.returncode}; its message is above.")
    return done.stdout
