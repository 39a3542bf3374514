"""The same files by plain INSERT … SELECT and by Longshore.

Each round makes every variant once, on a fresh table; the order changes from round to round. What
is in the table is compared with the files each time.
"""

import os
import random
import statistics
import time

from .common import Failed, bed, document, longshore, sql, write

DATABASE = "bench"
TARGET = f"{DATABASE}.events"
PARTITIONS = 4
TASKS = 4
SEED = 7
CHUNK_FILL_MIN = 0.8
STRUCTURE = "id UInt64, at DateTime('UTC'), word String"

PLAIN = "plain INSERT SELECT"
TUNED = "hand-tuned INSERT SELECT"
VARIANTS = {
    PLAIN: None,
    TUNED: None,
    "Longshore, 1 task, 1 worker": (1, 1),
    f"Longshore, {TASKS} tasks, 1 worker": (TASKS, 1),
    f"Longshore, {TASKS} tasks, 2 workers": (TASKS, 2),
}


def source():
    return f"s3({os.environ['S3_COLLECTION']}, filename='bench/*.parquet', format='Parquet', structure='{STRUCTURE.replace(chr(39), chr(92) + chr(39))}')"


def make_files(files, rows):
    """Rows of all partitions are in every file: each task has to publish each partition."""
    each = rows // files
    for number in range(files):
        sql(
            f"INSERT INTO FUNCTION s3({os.environ['S3_COLLECTION']}, filename='bench/{number:03}.parquet', format='Parquet') "
            f"SELECT number AS id, toDateTime('2026-01-15 00:00:00', 'UTC') + toIntervalMonth(number % {PARTITIONS}) + toIntervalSecond(intDiv(number, {PARTITIONS}) % 864000) AS at, "
            f"concat(hex(cityHash64(number)), '-', toString(number % 1000)) AS word FROM numbers({number * each}, {each}) "
            f"SETTINGS s3_truncate_on_insert = 1"
        )
    return int(sql(f"SELECT sum(_size) FROM s3({os.environ['S3_COLLECTION']}, filename='bench/*.parquet', format='One')"))


def fresh_table():
    sql(f"DROP TABLE IF EXISTS {TARGET} SYNC")
    sql(f"CREATE TABLE {TARGET} ({STRUCTURE}) ENGINE = MergeTree PARTITION BY toYYYYMM(at) ORDER BY id")


def insert(variant):
    settings = {}
    if variant == TUNED:
        settings = {
            "max_insert_threads": os.cpu_count(),
            "min_insert_block_size_rows": 4_000_000,
            "min_insert_block_size_bytes": 1_000_000_000,
        }
    began = time.monotonic()
    sql(f"INSERT INTO {TARGET} SELECT * FROM {source()}", **settings)
    return {"seconds": time.monotonic() - began}


def load(variant, files, again):
    tasks, workers = VARIANTS[variant]
    # The planner fills a chunk to 80 % at least: this many files a chunk still makes `tasks` chunks.
    files_max = 10_000 if tasks == 1 else int(files / tasks / CHUNK_FILL_MIN)
    began = time.monotonic()
    plan = longshore(
        "plan", "files", "--target", TARGET, "--url", "bench/*.parquet", "--named-collection", os.environ["S3_COLLECTION"],
        "--chunk-bytes", "1T", "--chunk-files-max", files_max, "--again", again,
    )
    planned = time.monotonic()
    since = time.time_ns() // 1000
    if plan["chunks"] != tasks:
        raise Failed(f"{plan['chunks']} chunks were planned, not {tasks}")
    ran = longshore("run", plan["plan_id"], "--workers", workers)
    ended = time.monotonic()
    return {
        "seconds": ended - planned,
        "plan_seconds": planned - began,
        "job_seconds": ran["elapsed_ms"] / 1000,
        "steps": steps(plan["plan_id"], since),
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


def contents(table):
    return sql(f"SELECT count(), sum(cityHash64(id, at, word)) FROM {table}")


def measure(variant, files, again, wanted):
    fresh_table()
    busy = os.getloadavg()[0]
    result = insert(variant) if VARIANTS[variant] is None else load(variant, files, again)
    result["parts"] = int(sql(f"SELECT count() FROM system.parts WHERE active AND database = '{DATABASE}' AND table = 'events'"))
    result["load_average_before"] = busy
    if contents(TARGET) != wanted:
        raise Failed(f"{variant}: the table is not what the files are: {contents(TARGET)} instead of {wanted}")
    return result


def summary(variants, rows, size):
    base = statistics.median(one["seconds"] for one in variants[TUNED])
    table = []
    for variant, results in variants.items():
        seconds = [one["seconds"] for one in results]
        middle = statistics.median(seconds)
        table.append({
            "variant": variant, "seconds": round(middle, 2), "seconds_min": round(min(seconds), 2), "seconds_max": round(max(seconds), 2),
            "rows_per_second": round(rows / middle), "mib_per_second": round(size / middle / 2**20, 1),
            "times_tuned": round(middle / base, 2), "parts": round(statistics.median(one["parts"] for one in results)),
        })
    return table


def run(arguments):
    with bed():
        size = make_files(arguments.files, arguments.rows)
        print(f"{arguments.files} files, {arguments.rows:,} rows, {size / 2**20:.1f} MiB, {PARTITIONS} partitions", flush=True)
        wanted = contents(source())
        variants = {variant: [] for variant in VARIANTS}
        shuffle = random.Random(SEED)
        for number in range(arguments.rounds):
            order = list(VARIANTS)
            shuffle.shuffle(order)
            for variant in order:
                result = measure(variant, arguments.files, f"round {number} {variant}", wanted)
                variants[variant].append(result)
                print(f"  round {number + 1}  {variant:32} {result['seconds']:7.2f} s  {result['parts']:4} parts  load {result['load_average_before']:.1f}", flush=True)
        table = summary(variants, arguments.rows, size)
        print(f"\n{'variant':34}{'median':>9}{'min':>8}{'max':>8}{'rows/s':>12}{'MiB/s':>8}{'of tuned':>10}{'parts':>7}")
        for line in table:
            print(
                f"{line['variant']:34}{line['seconds']:>7.2f} s{line['seconds_min']:>8.2f}{line['seconds_max']:>8.2f}"
                f"{line['rows_per_second']:>12,}{line['mib_per_second']:>8.1f}{line['times_tuned']:>10.2f}{line['parts']:>7}"
            )
        data = {"files": arguments.files, "rows": arguments.rows, "bytes": size, "partitions": PARTITIONS}
        write(arguments.json, document("load", arguments.rounds, data=data, summary=table, runs=variants))


def add(commands, folder):
    command = commands.add_parser("load", help="the same files by plain INSERT SELECT and by Longshore")
    command.add_argument("--rounds", type=int, default=5)
    command.add_argument("--files", type=int, default=40)
    command.add_argument("--rows", type=int, default=8_000_000)
    command.add_argument("--json", type=type(folder), default=folder / "load.json", metavar="FILE")
    command.set_defaults(run=run)
