"""Many failed tasks, opened again by one command: time of `retry --failed`, against a scan of the task table.

The rows of the control tables are written as if every task had failed: to fail 10,000 tasks for real
would take longer than everything else, and the command reads nothing but these rows.
"""

import time

from .common import bed, document, longshore, middle, sql, write

ROUNDS = 3
TASKS = 10_000
PAGE = 500
SEGMENT = 64
CONTROL = "longshore"


def fail_all(job, tasks):
    for first in range(0, tasks, PAGE):
        ids = ",".join(f"'{job}-{number:07}'" for number in range(first, min(first + PAGE, tasks)))
        sql(f"ALTER TABLE {CONTROL}.tasks UPDATE state = 'failed', error = 'planted', attempts = 5 WHERE task_id IN ({ids})", max_query_size=10_000_000)
    segments = -(-tasks // SEGMENT)
    bits = bytearray(-(-segments // 8))
    for segment in range(segments):
        bits[segment // 8] |= 1 << segment % 8
    sql(f"ALTER TABLE {CONTROL}.cursors UPDATE frontier = {segments}, finished = '{bits.hex()}', failed = {tasks} WHERE job_id = '{job}'")
    sql(f"ALTER TABLE {CONTROL}.jobs UPDATE state = 'failed' WHERE job_id = '{job}'")


def timed(do):
    began = time.monotonic()
    found = do()
    return time.monotonic() - began, found


def run(arguments):
    rounds = []
    with bed():
        sql("CREATE TABLE bench.source (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS index_granularity = 8")
        sql(f"INSERT INTO bench.source SELECT number FROM numbers({8 * arguments.tasks})")
        sql("CREATE TABLE bench.target (n UInt64) ENGINE = MergeTree ORDER BY n")
        for number in range(arguments.rounds):
            plan = longshore("plan", "copy", "--from", "bench.source", "--target", "bench.target", "--chunk-bytes", 64, "--again", f"retry {number}")
            fail_all(plan["plan_id"], plan["chunks"])
            took, opened = timed(lambda job=plan["plan_id"]: longshore("retry", job, "--failed"))
            scan, _ = timed(lambda: sql(f"SELECT count() FROM {CONTROL}.tasks WHERE state = 'failed'"))
            longshore("cancel", plan["plan_id"])
            rounds.append({"tasks": opened["failed"], "seconds": took, "scan_seconds": scan})
            print(f"{opened['failed']:,} failed tasks opened in {took:.1f} s ({opened['failed'] / took:,.0f}/s); one scan of the table: {scan:.2f} s", flush=True)
        print(f"\nMedian: {middle([one['seconds'] for one in rounds]):.1f} s for {arguments.tasks:,} tasks")
        found = document("retry", rounds)
    write(arguments.json, found)


def add(commands, folder):
    parser = commands.add_parser("retry", help="many failed tasks, opened again by one command")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--json", type=type(folder), default=folder / "retry.json")
    parser.set_defaults(run=run)
