"""Start, watch and stop one server process.

A process is known by pid + start time + boot id, so a pid that the kernel gave to somebody else
is never signalled. Servers get a session of their own, no terminal, no inherited descriptors.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress

TAIL_LINES = 15


def boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        return f.read().strip()


def _stat(pid):
    """(state, start time in ticks since boot) of a pid, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            # The second field is the program name in brackets and may hold spaces.
            fields = f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[19])


def identity(pid):
    stat = _stat(pid)
    return stat and {"pid": pid, "started": stat[1], "boot": boot_id()}


def alive(known):
    """Whether exactly the process written down in `known` still runs (a zombie does not)."""
    if not known or known.get("boot") != boot_id():
        return False
    stat = _stat(known["pid"])
    return bool(stat) and stat[0] not in "ZX" and stat[1] == known["started"]


def spawn(argv, log_path, cwd, env=None):
    """Start a server detached from the caller; returns the Popen, whose pid the caller records."""
    with open(log_path, "ab") as log:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            close_fds=True,
        )


def send(known, signum):
    """Signal the process if it is still ours; says whether it was."""
    if not alive(known):
        return False
    try:
        os.kill(known["pid"], signum)
    except ProcessLookupError:
        return False
    return True


def _wait_gone(known, seconds):
    deadline = time.monotonic() + seconds
    while alive(known):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def stop(known, grace_secs):
    """SIGTERM, a grace, then SIGKILL. True when the process is gone."""
    if not send(known, signal.SIGTERM):
        return True
    # A stopped (SIGSTOP) process sees SIGTERM only once it goes on.
    send(known, signal.SIGCONT)
    if _wait_gone(known, grace_secs):
        return True
    send(known, signal.SIGKILL)
    return _wait_gone(known, 10)


def listening_ports(pid):
    """The TCP ports on which this very process listens."""
    inodes = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as f:
                rows = f.readlines()[1:]
        except FileNotFoundError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A":  # LISTEN
                inodes[f"socket:[{fields[9]}]"] = int(fields[1].rpartition(":")[2], 16)
    ports = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                ports.add(inodes.get(os.readlink(f"/proc/{pid}/fd/{fd}")))
    except (FileNotFoundError, PermissionError):
        return set()
    return ports - {None}


def resident_bytes(pid):
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0


def tail(path, lines=TAIL_LINES):
    """The end of a log, for an error message."""
    try:
        with open(path, "rb") as f:
            f.seek(max(0, os.path.getsize(path) - 16384))
            text = f.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(f"    {line}" for line in text[-lines:]) or "    (the log is empty)"
