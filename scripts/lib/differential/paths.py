"""Where things are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
TESTBED = ROOT / "scripts/testbed"


def programs():
    """The folder of `longshore` and `longshore-worker`: LONGSHORE_BIN, LONGSHORE_BIN_DIR, else the release build."""
    for variable in ("LONGSHORE_BIN", "LONGSHORE_BIN_DIR"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).resolve()
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "release"
