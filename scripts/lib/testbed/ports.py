"""Free loopback ports that several beds can choose at the same moment.

Every chosen port has a file in a folder shared by all beds of this user; it names the bed that owns
it, and the choice is made under one lock. A file counts as long as that bed still exists, stopped or
not, so a killed server finds its port free when it is started again. Other programs know nothing of
these files: a bind check and, at start, a second try with other ports cover those.
"""

import fcntl
import json
import os
import random
import socket
import tempfile
from contextlib import contextmanager

MARKER = "bed.json"
FIRST_PORT = 15000


def shared_dir():
    path = os.path.join(tempfile.gettempdir(), f"longshore-testbed-{os.getuid()}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


@contextmanager
def locked(path):
    """Hold an advisory lock on `path`; it is released when the process ends, however it ends."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        # As the servers do: a connection in TIME_WAIT does not keep a port busy.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _last_port():
    """Stay below the range from which the kernel takes ports for outgoing connections."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
            low = int(f.read().split()[0])
    except (OSError, ValueError):
        low = 32768
    return low - 1 if low > FIRST_PORT + 1000 else 65535


def _owner(port):
    """The bed that has this port in its own file, or None."""
    try:
        with open(os.path.join(shared_dir(), f"port-{port}"), encoding="utf-8") as f:
            bed_dir = f.read().strip()
        with open(os.path.join(bed_dir, MARKER), encoding="utf-8") as f:
            held = json.load(f).get("ports", {})
    except (OSError, ValueError):
        return None
    return bed_dir if port in held.values() else None


@contextmanager
def choosing():
    """Only one bed chooses at a time; it must have saved its choice before the block ends."""
    with locked(os.path.join(shared_dir(), "ports.lock")):
        yield


def pick(bed_dir, names, avoid=()):
    """{name: port} for every name. Call inside `choosing`."""
    chosen = {}
    candidates = list(range(FIRST_PORT, _last_port() + 1))
    random.shuffle(candidates)
    for port in candidates:
        if len(chosen) == len(names):
            break
        if port in avoid or _owner(port) or not is_free(port):
            continue
        with open(os.path.join(shared_dir(), f"port-{port}"), "w", encoding="utf-8") as f:
            f.write(bed_dir)
        chosen[names[len(chosen)]] = port
    return chosen


def release(bed_dir, ports):
    for port in ports:
        path = os.path.join(shared_dir(), f"port-{port}")
        try:
            with open(path, encoding="utf-8") as f:
                mine = f.read().strip() == bed_dir
            if mine:
                os.remove(path)
        except FileNotFoundError:
            pass
