"""Bring servers up and down, and see what is up."""

import os
import signal
import time

from . import ports, process
from .report import BedError, UsageError, say, timed, warn
from .servers import servers

START_TRIES = 4
BIND_ERRORS = ("address already in use", "bind: address", "bindexception", "failed to listen", "errno: 98")


def find_server(bed, name):
    for server in servers(bed):
        if server.name == name:
            return server
    names = ", ".join(server.name for server in servers(bed))
    raise UsageError(f"no process {name!r} in this bed; it has {names}")


def is_up(server):
    return process.alive(server.bed.process(server.name))


class Launch:
    """One attempt to start one server."""

    def __init__(self, server):
        self.server = server
        self.log = server.bed.log(server.name)
        self.began = time.monotonic()
        os.makedirs(server.data_dir, exist_ok=True)
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        server.prepare()
        self.log_start = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.child = process.spawn(server.argv(), self.log, cwd=server.data_dir, env=server.env())
        server.bed.remember_process(server.name, process.identity(self.child.pid))

    def new_log(self):
        with open(self.log, "rb") as f:
            f.seek(self.log_start)
            return f.read().decode("utf-8", "replace")

    def lost_a_port(self):
        """The process is gone because another program took one of its ports first."""
        text = self.new_log().lower()
        return any(words in text for words in BIND_ERRORS)

    def check(self):
        """None while it comes up, True when it answers, False when another program took a port."""
        server = self.server
        code = self.child.poll()
        if code is not None:
            if self.lost_a_port():
                return False
            raise BedError(self._failure(f"ended at start with code {code}"))
        # Its own listeners first: another program on the port might answer in its place.
        wanted = {server.bed.ports[name] for name in server.port_names()}
        if wanted <= process.listening_ports(self.child.pid) and server.answers():
            server.complete()
            say(f"{server.name} ready on port {server.port} ({time.monotonic() - self.began:.1f} s)")
            return True
        if self.lost_a_port():
            # It goes on without that listener; it would never be ready.
            _stop_one(server)
            return False
        if time.monotonic() - self.began > server.ready_secs:
            process.stop(server.bed.process(server.name), server.grace_secs)
            raise BedError(self._failure(f"did not answer within {server.ready_secs} s"))
        return None

    def _failure(self, what):
        return f"{self.server.name} {what}; the end of {self.log}:\n{process.tail(self.log)}"


def bring_up(todo):
    """Start servers and wait until each one answers, those first that others have to wait for.

    Returns the servers that lost a port to another program, and those that wait for one of them.
    """
    waiting, launches, lost = list(todo), [], []
    while launches or waiting:
        starting = [launch.server for launch in launches]
        able = [s for s in waiting if not any(s.starts_after(o) for o in [*waiting, *starting, *lost])]
        waiting = [server for server in waiting if server not in able]
        launches += [Launch(server) for server in able]
        if not launches:
            break
        outcomes = [(launch, launch.check()) for launch in launches]
        lost += [launch.server for launch, outcome in outcomes if outcome is False]
        launches = [launch for launch, outcome in outcomes if outcome is None]
        time.sleep(0.03 if launches else 0)
    return lost, waiting


def start(bed):
    """Start what is not running."""
    todo = [server for server in servers(bed) if not is_up(server)]
    if not todo:
        say(f"already running in {bed.dir}")
        return
    moved = _settle_ports(bed, todo)
    with timed(f"up in {bed.dir}"):
        for _ in range(START_TRIES):
            todo = _with_dependents(bed, todo, moved)
            for server in todo:
                server.install()
            moved, waiting = bring_up(todo)
            todo = [*moved, *waiting]
            if not todo:
                return
            for server in moved:
                warn(f"another program took a port of {server.name}; trying other ports")
                bed.choose_ports(server.all_port_names())
    raise BedError(f"{', '.join(s.name for s in moved)}: no usable ports after {START_TRIES} tries")


def _settle_ports(bed, todo):
    """Keep remembered ports but those that somebody else uses now; returns the servers that moved."""
    names = [name for server in todo for name in server.all_port_names()]
    new = [name for name in names if name not in bed.ports]
    taken = [name for name in names if name in bed.ports and not ports.is_free(bed.ports[name])]
    for name in taken:
        warn(f"port {bed.ports[name]} ({name}) is in use by another program; choosing another")
    if new or taken:
        bed.choose_ports(new + taken)
    return [server for server in todo if set(server.all_port_names()) & set(taken)]


def _with_dependents(bed, todo, moved):
    """What to start when some servers got other ports: also those that have these ports in their config."""
    names = {server.name for server in todo}
    dependents = [
        server
        for server in servers(bed)
        if server.name not in names and any(server.refers_to(other) for other in moved if other.name != server.name)
    ]
    for server in dependents:
        _stop_one(server)
    return [*todo, *dependents]


def stop(bed):
    """Stop every process of the bed; ClickHouse first, it is the client of the others."""
    running = [server for server in reversed(servers(bed)) if is_up(server)]
    if not running:
        say(f"not running in {bed.dir}")
        return
    with timed(f"stopped {len(running)} processes in {bed.dir}"):
        for server in reversed(servers(bed)):
            _stop_one(server)


def _stop_one(server):
    known = server.bed.process(server.name)
    if not process.stop(known, server.grace_secs):
        raise BedError(f"{server.name} (pid {known['pid']}) does not end, not even by SIGKILL")
    server.clean_up()


def restart(bed, name):
    """Start one process again on its own port and data, whether it was killed or still runs."""
    server = find_server(bed, name)
    server.install()
    _stop_one(server)
    began = time.monotonic()
    # The kernel may need a moment to free the ports of a killed process.
    while busy := [bed.ports[n] for n in server.all_port_names() if not ports.is_free(bed.ports[n])]:
        if time.monotonic() - began > 10:
            raise BedError(f"port {busy[0]} of {name} is used by another program; stop it, or stop and start the bed")
        time.sleep(0.05)
    if bring_up([server])[0]:
        raise BedError(f"another program took a port of {name}; stop and start the bed")


def kill(bed, name, signum):
    server = find_server(bed, name)
    known = bed.process(name)
    if not process.send(known, signum):
        raise BedError(f"{name} is not running")
    if signum == signal.SIGKILL:
        process.stop(known, 0)  # returns when it is gone
    say(f"sent {signal.Signals(signum).name} to {server.name} (pid {known['pid']})")


def status(bed):
    """The facts that `status` shows."""
    rows = []
    for server in servers(bed):
        known = bed.process(server.name)
        up = process.alive(known)
        rows.append(
            {
                "name": server.name,
                "pid": known["pid"] if up else None,
                "port": server.port,
                "ports": {name: bed.ports.get(name) for name in server.all_port_names()},
                **(server.facts() if up else {}),
                "data_dir": server.data_dir,
                "alive": up,
                "log": bed.log(server.name),
                "resident_bytes": process.resident_bytes(known["pid"]) if up else 0,
            }
        )
    running = all(row["alive"] for row in rows)
    return {"dir": bed.dir, "running": running, "engine": bed.engine.name, "processes": rows}
