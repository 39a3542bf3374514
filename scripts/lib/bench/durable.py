"""The same files loaded with and without --durable, and with the server's own fsync settings, in one run.

Variants take turns on fresh tables; what is in the table is compared with the files each time.
"""

import os
import random
import statistics
import time

from .common import Failed, bed, document, longshore, sql, write
from .events import PARTITIONS, SEED, STRUCTURE, TARGET, contents, make_files, wanted
from .load import steps

CHUNK_FILL_MIN = 0.8
PLAIN, DURABLE, FSYNC = "as the server does", "--durable", "fsync settings of the table"
FSYNC_SETTINGS = "fsync_after_insert = 1, fsync_part_directory = 1"


def fresh_table(variant):
    sql(f"DROP TABLE IF EXISTS {TARGET} SYNC")
    settings = f" SETTINGS {FSYNC_SETTINGS}" if variant == FSYNC else ""
    sql(f"CREATE TABLE {TARGET} ({STRUCTURE}) ENGINE = MergeTree PARTITION BY toYYYYMM(at) ORDER BY id{settings}")
    # What earlier rounds wrote is not to be paid by this one.
    sql("SYSTEM SYNC FILE CACHE")


def load(variant, tasks, files, again):
    plan = longshore(
        "plan", "files", "--target", TARGET, "--url", "bench/*.parquet", "--named-collection", os.environ["S3_COLLECTION"],
        "--chunk-bytes", "1T", "--chunk-files-max", int(files / tasks / CHUNK_FILL_MIN), f"--durable={str(variant == DURABLE).lower()}", "--again", again,
    )
    if plan["chunks"] != tasks:
        raise Failed(f"{plan['chunks']} chunks were planned, not {tasks}")
    since = time.time_ns() // 1000
    began = time.monotonic()
    longshore("run", plan["plan_id"], "--workers", 2)
    seconds = time.monotonic() - began
    return {"seconds": seconds, "syncs": syncs(since), "steps": steps(plan["plan_id"], since)}


def syncs(since):
    """The statements that sync, and their time in the server."""
    sql("SYSTEM FLUSH LOGS")
    row = sql(
        "SELECT count(), sum(query_duration_ms), max(query_duration_ms) FROM system.query_log "
        "WHERE type = 'QueryFinish' AND query LIKE '%SYNC FILE CACHE%' AND query_kind = 'System' "
        f"AND query_start_time_microseconds >= fromUnixTimestamp64Micro({since}) FORMAT TSV"
    ).split("\t")
    return {"statements": int(row[0]), "ms": int(row[1]), "ms_max": int(row[2])}


def run(arguments):
    with bed():
        size = make_files(arguments.files, arguments.rows)
        print(f"{arguments.files} files, {arguments.rows:,} rows, {size / 2**20:.1f} MiB, {PARTITIONS} partitions", flush=True)
        rows = wanted()
        found = {(tasks, variant): [] for tasks in arguments.tasks for variant in (PLAIN, DURABLE, FSYNC)}
        shuffle = random.Random(SEED)
        for number in range(arguments.rounds):
            order = list(found)
            shuffle.shuffle(order)
            for tasks, variant in order:
                fresh_table(variant)
                busy = os.getloadavg()[0]
                result = load(variant, tasks, arguments.files, f"durable {number} {variant} {tasks}")
                if contents() != rows:
                    raise Failed(f"{variant}: the table is not what the files are")
                found[tasks, variant].append({**result, "load_average_before": busy})
                print(f"  round {number + 1}  {tasks:3} tasks  {variant:28} {result['seconds']:7.2f} s  {result['syncs']['statements']:3} syncs {result['syncs']['ms']:6} ms  load {busy:.1f}", flush=True)
        table = summary(found)
        print(f"\n{'tasks':>6}  {'variant':30}{'median':>9}{'min':>8}{'max':>8}{'of plain':>10}{'syncs':>7}{'ms each':>9}")
        for line in table:
            print(
                f"{line['tasks']:>6}  {line['variant']:30}{line['seconds']:>7.2f} s{line['seconds_min']:>8.2f}{line['seconds_max']:>8.2f}"
                f"{line['times_plain']:>10.2f}{line['syncs']:>7}{line['ms_each']:>9.1f}"
            )
        runs = {f"{tasks} tasks, {variant}": results for (tasks, variant), results in found.items()}
        write(arguments.json, document("durable", arguments.rounds, summary=table, runs=runs))


def summary(found):
    table = []
    for (tasks, variant), results in found.items():
        seconds = [one["seconds"] for one in results]
        plain = statistics.median(one["seconds"] for one in found[tasks, PLAIN])
        statements = sum(one["syncs"]["statements"] for one in results)
        table.append({
            "tasks": tasks, "variant": variant, "seconds": round(statistics.median(seconds), 2),
            "seconds_min": round(min(seconds), 2), "seconds_max": round(max(seconds), 2),
            "times_plain": round(statistics.median(seconds) / plain, 2), "syncs": statements // len(results),
            "ms_each": round(sum(one["syncs"]["ms"] for one in results) / max(statements, 1), 1),
        })
    return table


def add(commands, folder):
    command = commands.add_parser("durable", help="the same files with and without --durable")
    command.add_argument("--rounds", type=int, default=5)
    command.add_argument("--files", type=int, default=40)
    command.add_argument("--rows", type=int, default=8_000_000)
    command.add_argument("--tasks", type=int, nargs="+", default=[4, 40])
    command.add_argument("--json", type=type(folder), default=folder / "durable.json", metavar="FILE")
    command.set_defaults(run=run)
