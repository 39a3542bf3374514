"""A copy that is killed (SIGKILL, all its processes) after a third of its chunks, and resumed at once.

What runs on the server then goes on there, as it would. The time is that of the resuming command;
at the end the target is compared with the source, row counts and sums of hashes.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from . import tables
from .chkit import Chkit
from .common import SECONDS_MAX, Failed, bed, document, middle, write
from .product import Product

ROUNDS = 3
ROWS = 40_000_000
QUICK_ROWS = 2_000_000
TARGET = "resumed"
# A table without a window forgets every block at once; chkit-py's promise needs one.
WINDOW = {"non_replicated_deduplication_window": 10_000}
FAST = ["--concurrency", 2, "--poll-interval", 100]


def descendants(pid):
    """The process and all that it started, parents first."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                told = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(told[1])
    found = [pid]
    for one in found:
        found.extend(child for child, parent in parents.items() if parent == one)
    return found


def kill(process):
    """The parent first, so that it starts nothing in place of what ends."""
    if process.returncode is not None:
        return
    for pid in descendants(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def wait_for(planner, plan, process, chunks):
    deadline = time.monotonic() + SECONDS_MAX
    while (done := planner.progress(plan)) < chunks:
        if process.poll() is not None:
            raise Failed(f"it ended before it was killed, at {done} of {plan['chunkCount']} chunks:\n{process.stdout.read()}")
        if time.monotonic() > deadline:
            raise Failed(f"{done} of {plan['chunkCount']} chunks are done and no more come")
        time.sleep(0.1)
    return done


def trial(planner, kind, budget, options, settings, number, wanted):
    tables.create(kind, TARGET, settings=settings)
    planner.copy_of(kind, TARGET)
    plan = planner.plan(budget, *([f"resume {number} {options}"] if isinstance(planner, Product) else []))
    os.sync()
    busy = os.getloadavg()[0]
    began = time.monotonic()
    process = planner.start("run", plan, options)
    try:
        done = wait_for(planner, plan, process, (plan["chunkCount"] + 2) // 3)
    finally:
        kill(process)
    killed = time.monotonic()
    process = planner.start("resume", plan, options)
    try:
        said, _ = process.communicate(timeout=SECONDS_MAX)
    finally:
        kill(process)
    ended = time.monotonic()
    found = tables.contents(TARGET)
    rows, all_rows = int(found.split("\t")[0]), int(wanted.split("\t")[0])
    return {
        "chunks": plan["chunkCount"], "done_at_kill": done, "seconds_until_kill": killed - began, "seconds": ended - killed,
        "seconds_per_chunk_left": (ended - killed) / (plan["chunkCount"] - done), "exit_code": process.returncode,
        "exact": found == wanted, "rows_too_many": rows - all_rows, "load_average_before": busy,
        "said": "" if process.returncode == 0 else said[-2000:],
    }


def run(arguments):
    rows = arguments.rows or (QUICK_ROWS if arguments.quick else ROWS)
    rounds = arguments.rounds or (1 if arguments.quick else ROUNDS)
    budget = arguments.budget or ("32M" if arguments.quick else "64M")
    kind = arguments.kind
    with bed() as work:
        ours = Product()
        variants = {"Longshore, 2 workers": (ours, ["--workers", 2], {})}
        if not arguments.alone:
            theirs = Chkit(work)
            variants["chkit-py, default options, dedup window"] = (theirs, [], WINDOW)
            variants["chkit-py, 2 at a time, polls every 0.1 s, dedup window"] = (theirs, FAST, WINDOW)
            variants["chkit-py, 2 at a time, polls every 0.1 s, plain MergeTree"] = (theirs, FAST, {})
        tables.create(kind, kind)
        data = tables.fill(kind, kind, rows)
        wanted = tables.contents(kind)
        print(f"{kind}: {tables.KINDS[kind]['told']}; {rows:,} rows, {data['bytes'] / 2**20:,.0f} MiB uncompressed; budget {budget}", flush=True)
        found = {variant: [] for variant in variants}
        for number in range(rounds):
            for variant, (planner, options, settings) in variants.items():
                result = trial(planner, kind, budget, options, settings, number, wanted)
                found[variant].append(result)
                print(
                    f"  round {number + 1}  {variant:60}killed at {result['done_at_kill']}/{result['chunks']} after {result['seconds_until_kill']:.1f} s, resumed in {result['seconds']:.2f} s, "
                    f"{'exact' if result['exact'] else 'NOT EXACT: ' + format(result['rows_too_many'], '+,') + ' rows'}, exit code {result['exit_code']}, load {result['load_average_before']:.1f}", flush=True,
                )
        table = summary(found)
        print(f"\n{'variant':60}{'resume, median':>16}{'min':>8}{'max':>8}{'a chunk left':>14}{'chunks':>8}{'exact':>8}")
        for line in table:
            print(
                f"{line['variant']:60}{line['seconds']:>14.2f} s{line['seconds_min']:>8.2f}{line['seconds_max']:>8.2f}{line['seconds_per_chunk_left']:>12.2f} s"
                f"{line['chunks']:>8}{line['exact']:>5}/{line['rounds']}"
            )
        write(arguments.json, document("resume", rounds, rows=rows, budget=budget, kind=kind, data=data, summary=table, runs=found))
        if not all(one["exact"] and one["exit_code"] == 0 for one in found["Longshore, 2 workers"]):
            raise Failed("Longshore's copy was not exact")


def summary(found):
    table = []
    for variant, results in found.items():
        seconds = [one["seconds"] for one in results]
        table.append({
            "variant": variant, "seconds": middle(seconds), "seconds_min": min(seconds), "seconds_max": max(seconds),
            "seconds_per_chunk_left": middle([one["seconds_per_chunk_left"] for one in results]),
            "chunks": results[0]["chunks"], "exact": sum(one["exact"] for one in results), "rounds": len(results),
        })
    return table


def add(commands, folder):
    command = commands.add_parser("resume", help="a copy that is killed after a third of its chunks, by Longshore and by chkit-py")
    command.add_argument("--rounds", type=int)
    command.add_argument("--rows", type=int, help=f"of the table (default {ROWS:,})")
    command.add_argument("--budget", help="bytes of a chunk (default 64M)")
    command.add_argument("--kind", default="hot", choices=list(tables.KINDS), help="table to make")
    command.add_argument("--alone", action="store_true", help="without chkit-py")
    command.add_argument("--quick", action="store_true", help="a small table, one round: is the script itself in order?")
    command.add_argument("--json", type=type(folder), default=folder / "resume.json", metavar="FILE")
    command.set_defaults(run=run)
