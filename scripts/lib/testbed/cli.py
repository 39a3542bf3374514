"""The command line: `scripts/testbed COMMAND`."""

import argparse
import json
import os
import signal

from . import bed as beds
from . import control, engines, environment, process, report
from .bed import Bed
from .report import BedError, UsageError, say, timed, warn

DESCRIPTION = """\
Start and stop a private test bed on loopback: ClickHouse (out of a library, or a clickhouse
program found on the PATH), a coordination server and an S3 server. Ports and data stay in one
folder; several beds can run side by side. docs/testbed.md has the details.
"""
SERVERS_MAX = 9
EPILOG = """\
exit codes: 0 ok, 1 failure, 2 usage, 3 no bed or not running
typical use: scripts/testbed start && eval "$(scripts/testbed env)"
"""


def _parser():
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--dir",
        metavar="D",
        default=argparse.SUPPRESS,
        help="the bed's folder (default: $LONGSHORE_TESTBED_DIR, else .testbed in the repository)",
    )
    quiet_help = "say nothing but problems"
    common.add_argument("--quiet", "-q", action="store_true", default=argparse.SUPPRESS, help=quiet_help)
    parser = argparse.ArgumentParser(
        prog="scripts/testbed",
        description=DESCRIPTION,
        epilog=EPILOG,
        parents=[common],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name, text):
        return commands.add_parser(name, help=text, description=text, parents=[common])

    start = command("start", "install what is missing and start everything; a running bed is left as it is")
    start.add_argument(
        "--engine",
        metavar="V",
        choices=[*engines.ENGINES],
        help=f"version of ClickHouse: {', '.join(engines.ENGINES)} (default {engines.NEWEST}, "
        f"with replicas or shards {engines.REPLICATED}; a clickhouse program on the PATH comes first)",
    )
    start.add_argument("--servers", type=int, metavar="N", help="independent servers that share the Keeper (default 1)")
    start.add_argument("--replicas", type=int, metavar="R", help="servers that are replicas of one shard")
    start.add_argument("--shards", type=int, metavar="S", help="shards of one cluster, each with R replicas (default 1)")
    start.add_argument("--keepers", type=int, metavar="K", help="ZooKeeper servers, 1, 3 or 5 (default 1)")
    start.add_argument("--keeper-heap", type=int, metavar="MIB", help="memory of each ZooKeeper (default 256)")
    start.add_argument("--balancer", action="store_true", default=None, help="HAProxy in front of all servers")
    command("stop", "stop all processes; data and ports stay")
    status = command("status", "show the processes; exit code 3 when not all of them run")
    status.add_argument("--json", action="store_true", help="print JSON")
    command("env", "print export lines for the shell")
    restart = command("restart", "start one killed or running process again, same port and data")
    restart.add_argument("name", metavar="NAME", help="a name that status shows")
    kill = command("kill", "send a signal to one process")
    kill.add_argument("name", metavar="NAME", help="a name that status shows")
    kill.add_argument("--signal", default="KILL", metavar="SIG", help="name or number (default KILL)")
    command("wipe", "stop everything and delete the bed's folder")
    return parser


def main(argv):
    args = _parser().parse_args(argv)
    report.quiet = getattr(args, "quiet", False)
    path = os.path.abspath(getattr(args, "dir", None) or beds.default_dir())
    try:
        return globals()[f"_{args.command}"](path, args) or 0
    except BedError as error:
        warn(str(error))
        return error.exit_code
    except OSError as error:
        warn(f"{args.command} failed: {error}")
        return 1
    except KeyboardInterrupt:
        warn("interrupted; scripts/testbed stop ends what was started")
        return 130


def _shape(args):
    """What the command line says about the bed's shape; None where it says nothing."""
    servers, shards, replicas = args.servers, args.shards, args.replicas
    if servers and (shards or replicas):
        raise UsageError("--servers makes independent servers; use it without --shards and --replicas")
    if shards or replicas:
        shards, replicas = shards or 1, replicas or 1
        servers = shards * replicas
    for name, number in (("--shards", shards), ("--replicas", replicas), ("number of servers", servers)):
        if number is not None and not 1 <= number <= SERVERS_MAX:
            raise UsageError(f"{name} can be 1 to {SERVERS_MAX}, not {number}")
    if args.keepers not in (None, 1, 3, 5):
        raise UsageError("--keepers can be 1, 3 or 5")
    if args.keeper_heap is not None and not 64 <= args.keeper_heap <= 16384:
        raise UsageError(f"--keeper-heap can be 64 to 16384, not {args.keeper_heap}")
    return {
        "servers": servers,
        "shards": shards,
        "replicas": replicas,
        "keepers": args.keepers,
        "keeper_heap": args.keeper_heap,
        "balancer": args.balancer,
    }


def _start(path, args):
    shape = _shape(args)
    asked = {name: value for name, value in shape.items() if value is not None}
    with beds.exclusive(path):
        bed = Bed.find(path)
        if not bed:
            engine = engines.choose(args.engine, replicated=bool(shape["replicas"]))
            bed = Bed.create(path, engine, {**beds.SHAPE, **asked})
            bed.save()
        elif args.engine and args.engine != bed.engine.name:
            raise UsageError(f"this bed was made with --engine {bed.engine.name}; wipe it, or use another --dir")
        elif different := [name for name, value in asked.items() if value != bed.shape[name]]:
            made = ", ".join(f"{name} {bed.shape[name]}" for name in different)
            raise UsageError(f"this bed was made with other options ({made}); wipe it, or use another --dir")
        control.start(bed)


def _stop(path, args):
    with beds.exclusive(path):
        control.stop(Bed.need(path))


def _restart(path, args):
    with beds.exclusive(path):
        control.restart(Bed.need(path), args.name)


def _kill(path, args):
    control.kill(Bed.need(path), args.name, _signal_number(args.signal))


def _signal_number(text):
    name = text.upper().removeprefix("SIG")
    try:
        return signal.Signals(int(name)) if name.isdigit() else signal.Signals["SIG" + name]
    except (KeyError, ValueError):
        raise UsageError(f"no signal {text!r}") from None


def _wipe(path, args):
    with beds.exclusive(path):
        bed = Bed.find(path)
        if not bed:
            if os.path.exists(path):
                raise BedError(f"{path} holds no test bed (no bed.json); nothing was deleted")
            say(f"no test bed in {path}")
            return
        control.stop(bed)
        with timed(f"deleted {path}"):
            bed.remove()


def _status(path, args):
    bed = Bed.find(path)
    facts = control.status(bed) if bed else {"dir": path, "running": False, "processes": []}
    if args.json:
        print(json.dumps(facts, indent=1))
    elif not bed:
        print(f"no test bed in {path}")
    else:
        print(f"{'running' if facts['running'] else 'not running'}  {facts['dir']}  (engine: {facts['engine']})")
        print(f"{'NAME':<14}{'PID':>8}{'PORT':>8}{'MEMORY':>10}  LOG")
        for row in facts["processes"]:
            memory = f"{row['resident_bytes'] >> 20} MiB" if row["alive"] else "-"
            print(f"{row['name']:<14}{row['pid'] or 'down':>8}{row['port'] or '-':>8}{memory:>10}  {row['log']}")
    return 0 if facts["running"] else 3


def _env(path, args):
    bed = Bed.need(path)
    if not bed.ports:
        raise report.NotRunning(f"the bed in {path} has never been started")
    if not all(process.alive(bed.process(s.name)) for s in control.servers(bed)):
        warn(f"note: not everything runs in {path} (scripts/testbed start)")
    for name, value in environment.variables(bed).items():
        quoted = value.replace("'", "'\\''")
        print(f"export {name}='{quoted}'")
