"""The closing audit of a job of many tasks: from the last look at the tasks to the row of the job.

The rows of the control tables are written as if every task had been loaded: to load 200,000 tasks for
real would take hours, and the audit reads nothing but these rows and the parts of the target.
"""

import re
import subprocess
import time

from .common import bed, document, longshore, middle, sql, write

ROUNDS = 3
TASKS = 200_000
PAGE = 500
SEGMENT = 64
CONTROL = "longshore"
# Parts that the target really has: what is moved and not merged yet.
PARTS = 300
# Megabytes: a task is a znode of about 1 KiB, and ZooKeeper dies when its heap is full.
KEEPER_HEAP = 2048


def load_all(job, tasks):
    """Every task is done, with a receipt and a manifest of one part; some parts are in the target."""
    rows = sql("SELECT count() FROM bench.source")
    each = int(rows) // tasks
    # The last one has what is left over, so that the sum is what the plan knew.
    last = int(rows) - each * (tasks - 1)
    for first in range(0, tasks, PAGE):
        ids = ",".join(f"'{job}-{number:07}'" for number in range(first, min(first + PAGE, tasks)))
        sql(f"ALTER TABLE {CONTROL}.tasks UPDATE state = 'done', rows = {each}, epoch = 1, attempts = 1 WHERE task_id IN ({ids})", max_query_size=10_000_000)
    sql(f"ALTER TABLE {CONTROL}.tasks UPDATE rows = {last} WHERE task_id IN ('{job}-{tasks - 1:07}')")
    each = f"if(number = {tasks - 1}, {last}, {each})"
    parts = "[toUUID(concat('00000000-0000-4000-8000-', leftPad(toString(number), 12, '0')))]"
    task = f"concat('{job}-', leftPad(toString(number), 7, '0'))"
    columns = "job_id, task_id, target, epoch, worker, query_id, files, bytes, rows_read, rows_staged, partitions, part_uuids, part_hashes, published_at, part_names, taken_at, part_rows"
    names = "[concat('all_', toString(number + 1), '_', toString(number + 1), '_0')]"
    sql(
        f"INSERT INTO {CONTROL}.receipts ({columns}) SELECT '{job}', {task}, 'bench.target', 1, 'w', 'q', 0, 0, {each}, {each}, ['all'], {parts}, ['h'], now64(3), "
        f"{names}, now64(3), [{each}] FROM numbers({tasks})"
    )
    sql(f"INSERT INTO {CONTROL}.manifests SELECT '{job}', {task}, 1, 'w', {parts}, {each}, '', 0, now64(3), now64(3) FROM numbers({tasks})")
    segments = -(-tasks // SEGMENT)
    bits = bytearray(-(-segments // 8))
    for segment in range(segments):
        bits[segment // 8] |= 1 << segment % 8
    sql(f"ALTER TABLE {CONTROL}.cursors UPDATE frontier = {segments}, finished = '{bits.hex()}', done = {tasks}, rows = {rows} WHERE job_id = '{job}'")


def close(job):
    """A worker closes the job; the milliseconds of its audit, and the job's state."""
    began = time.monotonic()
    done = subprocess.run(["longshore-worker", "--job", job, "--exit-when-idle"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=1200)
    took = time.monotonic() - began
    found = re.search(r"elapsed_ms=(\d+)", next((line for line in done.stderr.splitlines() if "audited" in line), ""))
    return int(found[1]) / 1000 if found else None, took, longshore("status", job)["state"], done.stderr


def run(arguments):
    rounds = []
    with bed("--keeper-heap", str(KEEPER_HEAP)):
        sql("CREATE TABLE bench.source (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS index_granularity = 8")
        sql(f"INSERT INTO bench.source SELECT number FROM numbers({8 * arguments.tasks})")
        sql("CREATE TABLE bench.target (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS assign_part_uuids = 1")
        sql("SYSTEM STOP MERGES bench.target")
        for number in range(PARTS):
            sql(f"INSERT INTO bench.target VALUES ({number})")
        for number in range(arguments.rounds):
            plan = longshore("plan", "copy", "--from", "bench.source", "--target", "bench.target", "--no-snapshot", "--chunk-bytes", 64, "--again", f"audit {number}")
            job = plan["plan_id"]
            longshore("submit", job)
            load_all(job, plan["chunks"])
            audit, closed, state, words = close(job)
            if audit is None:
                raise SystemExit(f"no audit was seen:\n{words}")
            rounds.append({"tasks": plan["chunks"], "audit_seconds": audit, "worker_seconds": closed, "state": state})
            print(f"{plan['chunks']:,} tasks audited in {audit:.1f} s; the worker closed the job ({state}) in {closed:.1f} s", flush=True)
        print(f"\nMedian: {middle([one['audit_seconds'] for one in rounds]):.1f} s for {arguments.tasks:,} tasks")
        found = document("audit", rounds)
    write(arguments.json, found)


def add(commands, folder):
    parser = commands.add_parser("audit", help="the closing audit of a job of many tasks")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--json", type=type(folder), default=folder / "audit.json")
    parser.set_defaults(run=run)
