"""Command line, lanes, summary."""

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict
from pathlib import Path

from . import files, product, verdict
from .formats import Probe, available
from .paths import programs
from .scene import fill, make
from .server import Broken, Died, Refused, ask, bed, remove, revive
from .shrink import shrink
from .variations import vary

SCENES = 100
LANES = 2
BLOCK = 50  # scenes that share control tables
DETAILS_MAX = 40


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/differential", description="Random tables and files, loaded by Longshore and by one plain INSERT … SELECT, compared value by value.",
        epilog="Exit code 0: no difference without an explanation; 1: there was one, and it is printed; 2: usage.",
    )
    parser.add_argument("--scenes", type=int, metavar="N", help=f"number of scenes (default {SCENES})")
    parser.add_argument("--minutes", type=float, metavar="M", help="begin no new scene after this time")
    parser.add_argument("--seed", type=int, metavar="S", help="the same seed gives the same scenes (default: any; it is printed)")
    parser.add_argument("--only", type=int, metavar="SCENE", help="only this scene of the seed, with all that is known of it")
    parser.add_argument("--first", type=int, default=1, metavar="SCENE", help="the first scene (default 1)")
    parser.add_argument("--format", metavar="NAME", action="append", help="only this format; may be repeated. Other scenes follow from the seed then")
    parser.add_argument("--lanes", type=int, default=LANES, metavar="N", help=f"scenes at the same time (default {LANES})")
    parser.add_argument("--schemas-max", type=int, metavar="N", help="the plan looks at N files of each scene; workers look at the others")
    parser.add_argument("--dir", metavar="BED", help="use this running bed (default: one of its own, wiped at the end)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="one line of JSON a scene")
    parser.add_argument("--shrink", action="store_true", help="make the first scene of each kind of difference as small as it can be")
    parser.add_argument("--keep", action="store_true", help="keep tables and files of scenes without an explanation")
    found = parser.parse_args(arguments)
    if found.only is not None and found.seed is None:
        parser.error("--only needs the --seed that the scene was drawn with")
    return found


class Run:
    def __init__(self, arguments, log, folder):
        self.folder = folder
        self.arguments = arguments
        self.seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
        self.log = log
        self.lock = threading.Lock()
        self.ends = time.monotonic() + arguments.minutes * 60 if arguments.minutes else None
        self.last = arguments.first - 1 + (arguments.scenes or (SCENES if not arguments.minutes else 10**9))
        self.next = arguments.first
        if arguments.only is not None:
            self.next = self.last = arguments.only
        self.done = []
        self.dead = []
        self.shrunk = set()
        self.counter = itertools.count()
        self.broken = None
        self.mark = f"differential_{self.seed}_{time.time_ns() // 1000 % 10**9}"
        formats, self.skipped = available()
        if arguments.format:
            formats = [one for one in formats if one.name in arguments.format]
            if not formats:
                raise Broken(f"the server reads and writes no format {' or '.join(arguments.format)}")
        self.formats = formats
        self.probe = Probe(f"{self.mark}/probe")

    def take(self):
        with self.lock:
            late = self.ends is not None and time.monotonic() > self.ends
            if self.broken is not None or self.next > self.last or late:
                return None
            self.next += 1
            return self.next - 1

    def lane(self, at):
        control, used = None, 0
        try:
            while (number := self.take()) is not None:
                if used % BLOCK == 0:
                    drop_control(control)
                    control = f"longshore_{self.mark}_{at}_{used // BLOCK}"
                    env = product.environment(control)
                    code, out, err = product.call(["init"], env)
                    if code != 0:
                        raise Broken(f"longshore init: {out}{err}")
                used += 1
                try:
                    self.one(number, env)
                except Died as problem:
                    # The other lanes meet the same death: each scene is done again, alone, at the end.
                    with self.lock:
                        self.dead.append((number, str(problem)))
                        product.end_all(self.mark)
                        revive(self.folder)
        except Exception as problem:  # a lane that dies must end the run, not vanish
            with self.lock:
                self.broken = self.broken or (problem, traceback.format_exc())
        finally:
            drop_control(control)

    def repeat_dead(self):
        """Which of the scenes kills the server? Nobody can be blamed where its own statement does."""
        for number, _ in list(self.dead):
            control = f"longshore_{self.mark}_again_{number}"
            env = product.environment(control)
            scene = make(self.seed, number, self.formats, self.probe.carries)[0]
            try:
                product.call(["init"], env)
                self.one(number, env)
                drop_control(control)
            except Died as problem:
                product.end_all(self.mark)
                revive(self.folder)
                told = f"  the last statement: {str(problem)[:1500]}"
                by_us = str(problem).startswith("longshore")
                found = verdict.Verdict(verdict.UNEXPLAINED if by_us else verdict.DEAD, "the server dies", [told])
                self.tell(scene, found, product.Outcome("none"), files.commands(scene, "d", "p"), 0)

    def one(self, number, env):
        database, prefix = f"{self.mark}_{number}", f"{self.mark}/{number}"
        began = time.monotonic()
        scene, rng = make(self.seed, number, self.formats, self.probe.carries)
        vary(rng, scene, self.probe.carries)
        fill(rng, scene)
        if self.arguments.schemas_max:
            scene.options += ["--schemas-max", str(self.arguments.schemas_max)]
        found, outcome = self.judged(scene, database, prefix, env, self.arguments.keep)
        if self.arguments.shrink and found.verdict == verdict.UNEXPLAINED and self.is_new(found):
            def same(smaller):
                at = f"{database}_s{next(self.counter)}"
                other, ran = self.judged(smaller, at, f"{prefix}-{at}", env, keep=False)
                alike = other.verdict == found.verdict and kind_of(other) == kind_of(found)
                return (other, ran) if alike else None

            scene, found, outcome = shrink(scene, found, outcome, same)
        self.tell(scene, found, outcome, files.commands(scene, database, prefix), time.monotonic() - began)

    def judged(self, scene, database, prefix, env, keep):
        ask(f"DROP DATABASE IF EXISTS {database} SYNC")  # from a life that ended with the server
        ask(f"CREATE DATABASE {database} ENGINE = Atomic")
        try:
            files.write(scene, database, prefix)
            found, outcome = verdict.judge(scene, database, prefix, env)
        except Refused as problem:
            found, outcome = verdict.Verdict("broken", f"the scene itself: {str(problem)[:300]}"), product.Outcome("none")
        except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError) as problem:
            # A mistake of this script must not end a run of hours.
            lines = traceback.format_exc().splitlines()
            found, outcome = verdict.Verdict("broken", f"this script: {problem!r}", lines), product.Outcome("none")
        if not (keep and found.verdict == verdict.UNEXPLAINED):
            ask(f"DROP DATABASE {database} SYNC")
            remove(prefix)
        return found, outcome

    def is_new(self, found):
        with self.lock:
            new = kind_of(found) not in self.shrunk
            self.shrunk.add(kind_of(found))
            return new

    def tell(self, scene, found, outcome, commands, seconds):
        with self.lock:
            self.done.append((scene, found))
            if self.log:
                told = {
                    "seed": self.seed, "scene": scene.number, "format": scene.format.name, "variations": scene.variations, "verdict": found.verdict,
                    "reason": found.reason, "details": found.details, "way_on": found.way_on, "outcome": outcome.kind, "code": outcome.code,
                    "notes": outcome.notes, "seconds": round(seconds, 2), "types": sorted(c.type.name for c in scene.columns), "commands": commands,
                }
                self.log.write(json.dumps(told, ensure_ascii=False) + "\n")
                self.log.flush()
            if found.verdict in (verdict.UNEXPLAINED, verdict.DEAD, "broken") or self.arguments.only is not None:
                told_before = any(other.reason == found.reason for _, other in self.done[:-1])
                shown = [] if told_before else [*commands[:DETAILS_MAX], *outcome.commands, *found.details]
                title = f"scene {scene.number} of seed {self.seed}: {found.verdict}: {found.reason}"
                print(f"\n{title}\n  {scene.format.name}; {', '.join(scene.variations) or 'no variation'}", *(f"  {line}" for line in shown), sep="\n")
                print(f"  again: scripts/differential --seed {self.seed} --only {scene.number}{''.join(f' --format {f}' for f in self.arguments.format or [])}", flush=True)

    def summary(self, seconds):
        verdicts = Counter(found.verdict for _, found in self.done)
        types = {c.type.name for scene, _ in self.done for c in scene.columns}
        print(f"\n{len(self.done)} scenes in {seconds:.0f} s, seed {self.seed}, {len(types)} types, {len({s.format.name for s, _ in self.done})} formats")
        table("format", [(scene.format.name, found.verdict) for scene, found in self.done])
        table("variation", [(kind, found.verdict) for scene, found in self.done for kind in scene.variations or ["none"]])
        groups = defaultdict(list)
        for scene, found in self.done:
            if found.verdict not in (verdict.EQUAL,):
                groups[found.verdict, found.reason].append(scene)
        print("\nwhy:")
        for (kind, reason), scenes in sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1]))):
            numbers = ", ".join(str(scene.number) for scene in sorted(scenes, key=lambda one: len(one.variations))[:4])
            print(f"  {len(scenes):5}  {kind}: {reason}  [{numbers}]")
        for name, reason in self.skipped.items():
            print(f"  not tried: {name}: {reason}")
        return 1 if verdicts[verdict.UNEXPLAINED] or verdicts["broken"] or not self.done else 0


def kind_of(found):
    """The reason without the words of the message, of which each release of the server has others."""
    return found.reason.partition(": ")[0]


def table(title, pairs):
    """Counts of verdicts, a line a name."""
    kinds = [kind for kind in [*verdict.ORDER, "broken"] if any(found == kind for _, found in pairs)]
    counts = defaultdict(Counter)
    for name, found in pairs:
        counts[name][found] += 1
    short = {verdict.LIKE_INSERT: "lossy", verdict.BETTER: "better", verdict.UNEXPLAINED: "UNEXPL.", verdict.DEAD: "dead"}
    print(f"\n{title:42}" + "".join(f"{short.get(kind, kind):>9}" for kind in kinds))
    for name in sorted(counts):
        print(f"{name:42}" + "".join(f"{counts[name][kind] or '':>9}" for kind in kinds))


def drop_control(control):
    if control is not None:
        for database in (f"{control}_staging", control):
            ask(f"DROP DATABASE IF EXISTS {database} SYNC")


def main(argv):
    arguments = parse(argv)
    work = Path(tempfile.mkdtemp(prefix="longshore-differential-"))
    try:
        if not (programs() / "longshore-worker").exists():
            raise Broken("build first: cargo build --release (or LONGSHORE_BIN names a folder with both programs)")
        with (
            bed(arguments.dir or work / "bed", own=not arguments.dir),
            open(arguments.log, "w", encoding="utf-8", errors="replace") if arguments.log else _nothing() as log,
        ):
            return drive(arguments, log, arguments.dir or work / "bed")
    except Broken as problem:
        print(f"scripts/differential: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(work, ignore_errors=True)


def drive(arguments, log, folder):
    revive(folder)
    run = Run(arguments, log, folder)
    print(f"seed {run.seed}", flush=True)
    began = time.monotonic()
    lanes = [threading.Thread(target=run.lane, args=(at,)) for at in range(1 if arguments.only is not None else arguments.lanes)]
    for lane in lanes:
        lane.start()
    try:
        for lane in lanes:
            lane.join()
    except BaseException:
        run.broken = run.broken or (KeyboardInterrupt(), "")
        for lane in lanes:
            lane.join()
        run.summary(time.monotonic() - began)
        raise
    product.end_all(run.mark)
    run.repeat_dead()
    run.probe.forget()
    code = run.summary(time.monotonic() - began)
    if run.broken is not None:
        problem, trace = run.broken
        print(trace, file=sys.stderr)
        raise Broken(f"the run was cut: {problem}")
    return code


class _nothing:
    def __enter__(self):
        return None

    def __exit__(self, *_):
        return False
