"""The same files by plain INSERT … SELECT, by the best statements of a person, by ClickLoad's algorithm, and by Longshore.

Each round makes every variant once, on fresh tables; the order changes from round to round. What
is in the tables is compared with the files each time, those of the views too.
"""

import json
import os
import random
import statistics
import subprocess
import time

from . import by_hand
from .common import ROOT, Failed, bed, document, longshore, sql, write
from .events import FORMATS, PARTITIONS, SEED, TARGET, VIEWS, contents, fresh_tables, make_files, merges, parts, pattern, wanted

PLAIN = "plain INSERT SELECT"
HALVES = "by hand: one lot of files a core, narrow"
LOTS = "by hand: lots of 10 files, narrow"
OWN = "Longshore, as it plans and runs itself"
# What a merge needs to begin; without one for so long, there is none left.
SETTLED_SECONDS = 1.0
SETTLED_MAX = 600


def variants(arguments):
    """Name of a way, and what it does; a tuple is options of `plan` and `run`, and whose programs."""
    files, cores = arguments.files, os.cpu_count()
    ways = {
        PLAIN: by_hand.plain,
        "hand-tuned INSERT SELECT": by_hand.tuned,
        HALVES: lambda: by_hand.narrow(files, -(-files // cores)),
        LOTS: lambda: by_hand.narrow(files, 10),
        "ClickLoad's algorithm, 4 chunks, 1 worker": lambda: by_hand.clickload(files, 4, 1, arguments.views),
        "ClickLoad's algorithm, 4 chunks, 2 workers": lambda: by_hand.clickload(files, 4, 2, arguments.views),
        OWN: ([], []),
        "Longshore, 1 worker": ([], ["--workers", 1]),
        "Longshore, 1 task": (["--chunk-bytes", "1T"], ["--workers", 1]),
    }
    if arguments.other:
        ways[f"{OWN}, of the other folder"] = ([], [], arguments.other)
        ways["Longshore, 1 task, of the other folder"] = (["--chunk-bytes", "1T"], ["--workers", 1], arguments.other)
    return {name: way for name, way in ways.items() if arguments.only is None or any(part in name for part in arguments.only)}


def load(options, again):
    plan_options, run_options, *other = options
    programs = other[0] if other else None
    since = time.time_ns() // 1000
    began = time.monotonic()
    plan = longshore(
        "plan", "files", "--target", TARGET, "--url", f"bench/{pattern()}", "--named-collection", os.environ["S3_COLLECTION"],
        "--again", again, *plan_options, programs=programs,
    )
    planned = time.monotonic()
    ran = longshore("run", plan["plan_id"], *run_options, programs=programs)
    ended = time.monotonic()
    return {
        "seconds": ended - planned, "plan_seconds": planned - began, "job_seconds": ran["elapsed_ms"] / 1000,
        "tasks": plan["chunks"], "steps_since": since, "plan_id": plan["plan_id"],
    }


def steps(job, since):
    """Time of the job's statements in the server, by step, those of several tasks added up.

    Statements without a step are control reads and writes, by kind and table, those of `run` included.
    """
    sql("SYSTEM FLUSH LOGS")
    rows = sql(
        f"SELECT if(startsWith(query_id, '{job}-'), splitByChar('-', query_id)[4], concat('control ', query_kind, ' ', if(startsWith(tables[1], 'longshore_staging.'), 'staging', tables[1]))) AS step, "
        "count(), sum(query_duration_ms) / 1000 FROM system.query_log "
        f"WHERE type = 'QueryFinish' AND user = '{os.environ['CLICKHOUSE_USER']}' "
        f"AND query_start_time_microseconds >= fromUnixTimestamp64Micro({since}) GROUP BY step ORDER BY step FORMAT TSV"
    )
    found = (row.split("\t") for row in rows.splitlines())
    return {step: {"statements": int(count), "seconds": float(seconds)} for step, count, seconds in found}


def processor_seconds(pid):
    """What a process has used, its children left out."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def server_pid(folder):
    told = subprocess.run([ROOT / "scripts/testbed", "status", "--json", "--dir", folder], check=True, stdout=subprocess.PIPE, text=True)
    return next(one["pid"] for one in json.loads(told.stdout)["processes"] if one["name"].startswith(("clickhouse", "chdb")))


def settle(began):
    """Seconds until no merge runs any more, from the beginning of the load."""
    last = time.monotonic()
    while time.monotonic() - last < SETTLED_SECONDS:
        if merges():
            last = time.monotonic()
        if time.monotonic() - began > SETTLED_MAX:
            raise Failed("merges do not end")
        time.sleep(0.05)
    return last - began


def measure(way, again, rows, views, pid):
    fresh_tables(views)
    busy = os.getloadavg()[0]
    processor = processor_seconds(pid)
    began = time.monotonic()
    result = {}
    if callable(way):
        way()
        result["seconds"] = time.monotonic() - began
    else:
        result = load(way, again)
    result["parts"] = parts()
    result["settled_seconds"] = settle(began) - result.get("plan_seconds", 0.0)
    result["processor_seconds"] = processor_seconds(pid) - processor
    result["settled_parts"] = parts()
    result["load_average_before"] = busy
    if contents(views) != rows:
        raise Failed(f"the tables are not what the files are: {contents(views)} instead of {rows}")
    if "plan_id" in result:
        result["steps"] = steps(result.pop("plan_id"), result.pop("steps_since"))
    return result


def summary(found, rows, size):
    base = statistics.median(one["seconds"] for one in found.get(PLAIN) or next(iter(found.values())))
    table = []
    for variant, results in found.items():
        middle = {key: statistics.median(one[key] for one in results) for key in ("seconds", "settled_seconds", "processor_seconds", "parts", "settled_parts")}
        table.append({
            "variant": variant, "seconds": round(middle["seconds"], 2),
            "seconds_min": round(min(one["seconds"] for one in results), 2), "seconds_max": round(max(one["seconds"] for one in results), 2),
            "times_plain": round(middle["seconds"] / base, 2), "settled_seconds": round(middle["settled_seconds"], 2),
            "processor_seconds": round(middle["processor_seconds"], 1), "parts": round(middle["parts"]), "settled_parts": round(middle["settled_parts"]),
            "rows_per_second": round(rows / middle["seconds"]), "mib_per_second": round(size / middle["seconds"] / 2**20, 1),
        })
    return table


def run(arguments):
    with bed() as work:
        pid = server_pid(work / "bed")
        size = make_files(arguments.files, arguments.rows, arguments.format)
        if arguments.other:
            longshore("init", programs=arguments.other)
        rows = wanted(arguments.views)
        print(f"{arguments.files} files, {arguments.rows:,} rows, {size / 2**20:.1f} MiB of {arguments.format}, {PARTITIONS} partitions, {arguments.views} views", flush=True)
        ways = variants(arguments)
        found = {variant: [] for variant in ways}
        shuffle = random.Random(SEED)
        for number in range(arguments.rounds):
            order = list(ways)
            shuffle.shuffle(order)
            for variant in order:
                result = measure(ways[variant], f"round {number} {variant}", rows, arguments.views, pid)
                found[variant].append(result)
                print(
                    f"  round {number + 1}  {variant:42} {result['seconds']:7.2f} s  settled {result['settled_seconds']:7.2f} s  "
                    f"{result['processor_seconds']:6.1f} CPU s  {result['parts']:4} parts  load {result['load_average_before']:.1f}", flush=True,
                )
        table = summary(found, arguments.rows, size)
        print(f"\n{'way':44}{'median':>9}{'min':>8}{'max':>8}{'of plain':>10}{'settled':>10}{'CPU s':>8}{'parts':>7}{'settled':>9}")
        for line in table:
            print(
                f"{line['variant']:44}{line['seconds']:>7.2f} s{line['seconds_min']:>8.2f}{line['seconds_max']:>8.2f}{line['times_plain']:>10.2f}"
                f"{line['settled_seconds']:>8.2f} s{line['processor_seconds']:>8.1f}{line['parts']:>7}{line['settled_parts']:>9}"
            )
        data = {"files": arguments.files, "rows": arguments.rows, "bytes": size, "partitions": PARTITIONS, "views": arguments.views, "format": arguments.format}
        write(arguments.json, document("load", arguments.rounds, data=data, summary=table, runs=found))


def add(commands, folder):
    command = commands.add_parser("load", help="the same files by plain INSERT SELECT, by hand, by ClickLoad's algorithm and by Longshore")
    command.add_argument("--rounds", type=int, default=5)
    command.add_argument("--files", type=int, default=40)
    command.add_argument("--rows", type=int, default=8_000_000)
    command.add_argument("--views", type=int, default=2, choices=range(len(VIEWS) + 1), help="materialized views on the target (default 2)")
    command.add_argument("--format", default="Parquet", choices=FORMATS, help="of the files (default Parquet)")
    command.add_argument("--other", type=type(folder), metavar="FOLDER", help="measure the release programs of FOLDER beside those of this tree")
    command.add_argument("--only", nargs="+", metavar="WORDS", help="only ways whose name has one of these in it")
    command.add_argument("--json", type=type(folder), default=folder / "load.json", metavar="FILE")
    command.set_defaults(run=run)
