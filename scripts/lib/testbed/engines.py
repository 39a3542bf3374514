"""The ClickHouse versions a bed can run, and what each of them can do."""

import os
import shutil
from dataclasses import dataclass

from .report import BedError, UsageError

# Engine of a bed without replicas, and of one with.
NEWEST = "26.7"
REPLICATED = "25.8"
# A `clickhouse` program found on the PATH.
PROGRAM = "clickhouse"


@dataclass(frozen=True)
class Engine:
    name: str
    # Name in downloads.lock.json; None for a program of the machine.
    archive: str = None
    # How chdb_server.py starts it.
    entry: str = None
    # A whole clickhouse-server: replicas, ON CLUSTER, users by SQL, https.
    is_server: bool = True
    # GRANT READ ON S3 TO …; older versions know GRANT S3 ON *.* TO … only.
    has_source_grants: bool = True
    # GRANT … ON `prefix`*.*
    has_wildcard_grants: bool = True


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("24.8", "chdb-24.8", "server", has_source_grants=False, has_wildcard_grants=False),
        Engine("25.5", "chdb-25.5", "server", has_source_grants=False),
        Engine("25.8", "chdb-25.8", "server-deepbind"),
        Engine("26.7", "chdb", "local", is_server=False),
        Engine("26.9", "chdb-26.9", "module", is_server=False),
        Engine(PROGRAM),
    )
}
# What LONGSHORE_TESTBED_ENGINE and the files of older beds call the default engine.
ALIASES = {"embedded": NEWEST}


def find(name):
    engine = ENGINES.get(ALIASES.get(name, name))
    if not engine:
        raise UsageError(f"no engine {name!r}; a bed can have {', '.join(ENGINES)}")
    return engine


def choose(asked, replicated):
    """The engine of a new bed: the one asked for, else the program of the machine, else a library."""
    wanted = asked or os.environ.get("LONGSHORE_TESTBED_ENGINE") or "auto"
    if wanted == "auto":
        wanted = PROGRAM if shutil.which(PROGRAM) else REPLICATED if replicated else NEWEST
    engine = find(wanted)
    if engine.name == PROGRAM and not shutil.which(PROGRAM):
        raise BedError("engine clickhouse: no clickhouse program is on the PATH")
    if replicated and not engine.is_server:
        able = ", ".join(e.name for e in ENGINES.values() if e.is_server)
        raise UsageError(
            f"engine {engine.name} cannot hold replicas: its library has no interserver port, so replicated tables "
            f"are read-only, and it has no ON CLUSTER. Choose --engine {REPLICATED} (possible: {able})"
        )
    return engine


def program():
    """Path of the machine's own ClickHouse."""
    path = shutil.which(PROGRAM)
    if not path:
        raise BedError("this bed was made with a clickhouse program, and none is on the PATH now")
    return path
