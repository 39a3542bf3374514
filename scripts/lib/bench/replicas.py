"""What a load into two replicas costs Keeper and the other replica, beside other ways to the same rows.

Counts only: they hold on a busy machine, times would not. A write of Keeper is a transaction: its counter
(zxid) is read before and after, and what it counts when nothing is done is taken off.
"""

import os
import re
import socket
import statistics
import time

from .common import Failed, bed, document, longshore, sql, write
from .events import PARTITIONS, STRUCTURE, TARGET, make_files, source, wanted

KEY = "PARTITION BY toYYYYMM(at) ORDER BY id"
STAGED = "longshore_bench.staged"
IDLE_SECONDS = 10
# Nothing merges: each way ends with the same parts.
STILL = "max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1"

PRODUCT, PLAIN = "Longshore", "plain INSERT SELECT, no proof"
ONE, ALL, ATTACH = "twin with one replica + MOVE", "twin on all replicas + MOVE", "plain twin + ATTACH PARTITION FROM"


def second(statement):
    """Asks the second replica."""
    return sql(statement, server="CLICKHOUSE_URL_2")


def both(statement):
    return sql(statement), second(statement)


def written():
    """Transactions of Keeper so far."""
    with socket.create_connection(("127.0.0.1", int(os.environ["KEEPER_PORT"])), timeout=5) as keeper:
        keeper.sendall(b"srvr")
        words = b"".join(iter(lambda: keeper.recv(4096), b"")).decode()
    found = re.search(r"Zxid: 0x([0-9a-f]+)", words)
    if not found:
        raise Failed(f"Keeper tells no zxid: {words!r}")
    # The upper half counts elections.
    return int(found[1], 16) & 0xFFFFFFFF


def idle():
    """Transactions a second while nobody asks for anything."""
    before, began = written(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return (written() - before) / (time.monotonic() - began)


def fetched(since):
    """Parts and bytes that the second replica took from the first, of all tables."""
    second("SYSTEM FLUSH LOGS")
    row = second(
        "SELECT count(), sum(size_in_bytes) FROM system.part_log WHERE event_type = 'DownloadPart' AND error = 0 "
        f"AND event_time_microseconds >= fromUnixTimestamp64Micro({since}) FORMAT TSV"
    ).split("\t")
    return int(row[0]), int(row[1])


def make_target():
    cluster = os.environ["CLICKHOUSE_CLUSTER"]
    sql(f"DROP TABLE IF EXISTS {TARGET} ON CLUSTER {cluster} SYNC")
    sql(
        f"CREATE TABLE {TARGET} ON CLUSTER {cluster} ({STRUCTURE}) "
        f"ENGINE = ReplicatedMergeTree('/bench/{time.time_ns()}', '{{replica}}') {KEY} SETTINGS {STILL}"
    )


def by_product(files, again):
    plan = longshore(
        "plan", "files", "--target", TARGET, "--url", "bench/*.parquet", "--named-collection", os.environ["S3_COLLECTION"],
        "--chunk-files-max", 1, "--again", again,
    )
    if plan["chunks"] != files:
        raise Failed(f"{plan['chunks']} chunks were planned, not {files}")
    longshore("submit", plan["plan_id"])
    before, began = written(), time.monotonic()
    longshore("run", plan["plan_id"], "--workers", 1)
    return before, began


def by_hand(way, files, fails):
    """One task after the other, each file once. A failed attempt loads and is dropped."""
    before, began = written(), time.monotonic()
    for number in range(files):
        for is_lost in [True, False] if fails else [False]:
            step(way, number, is_lost)
    return before, began


def step(way, number, is_lost):
    rows = f"SELECT * FROM {source(f'{number:03}.parquet')}"
    if way == PLAIN:
        if not is_lost:
            sql(f"INSERT INTO {TARGET} {rows}")
        return
    path = f"/bench/staged/{time.time_ns()}"
    engine = "MergeTree" if way == ATTACH else f"ReplicatedMergeTree('{path}', '{{replica}}')"
    ask = both if way == ALL else lambda statement: (sql(statement),)
    ask(f"CREATE TABLE {STAGED} ({STRUCTURE}) ENGINE = {engine} {KEY} SETTINGS {STILL}, replicated_deduplication_window = 0")
    sql(f"INSERT INTO {STAGED} {rows}")
    if is_lost:
        # As long as it takes to find out that something is wrong.
        time.sleep(1)
    else:
        partitions = sql(f"SELECT DISTINCT partition_id FROM system.parts WHERE active AND concat(database, '.', table) = '{STAGED}'").split()
        for partition in partitions:
            if way == ATTACH:
                sql(f"ALTER TABLE {TARGET} ATTACH PARTITION ID '{partition}' FROM {STAGED}")
            else:
                sql(f"ALTER TABLE {STAGED} MOVE PARTITION ID '{partition}' TO TABLE {TARGET}")
    ask(f"DROP TABLE {STAGED} SYNC")


def measure(way, files, again, fails, pace):
    make_target()
    since = time.time_ns() // 1000
    before, began = by_product(files, again) if way == PRODUCT else by_hand(way, files, fails)
    second(f"SYSTEM SYNC REPLICA {TARGET}")
    writes = written() - before - pace * (time.monotonic() - began)
    parts, size = fetched(since)
    digest = f"SELECT count(), sum(cityHash64(id, at, word)) FROM {TARGET}"
    if both(digest) != (wanted()[0],) * 2:
        raise Failed(f"{way}: the replicas do not have what the files hold")
    return {"writes_a_task": writes / files, "fetched_parts": parts, "fetched_bytes": size}


def run(arguments):
    os.environ["LONGSHORE_TESTBED_PART_LOG"] = "1"
    with bed("--engine", "25.8", "--replicas", "2") as work:
        os.environ["KEEPER_PORT"] = keeper_port(work)
        second("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
        both("CREATE DATABASE longshore_bench ENGINE = Atomic")
        size = make_files(arguments.files, arguments.rows)
        pace = idle()
        print(f"{arguments.files} files, {arguments.rows:,} rows, {size / 2**20:.1f} MiB, {PARTITIONS} partitions; {pace:.1f} writes a second idle", flush=True)
        cases = [(PRODUCT, False), (PLAIN, False), (ONE, False), (ALL, False), (ATTACH, False), (ONE, True), (ALL, True), (ATTACH, True)]
        found = {case: [] for case in cases}
        for number in range(arguments.rounds):
            for way, fails in cases:
                one = measure(way, arguments.files, f"replicas {number}", fails, pace)
                found[way, fails].append(one)
                print(f"  round {number + 1}  {words(way, fails):58}{one['writes_a_task']:7.1f} writes a task  {one['fetched_bytes'] / 2**20:8.2f} MiB fetched", flush=True)
        table = summary(found)
        print(f"\n{'way':58}{'writes a task':>14}{'parts fetched':>15}{'MiB fetched':>13}")
        for line in table:
            print(f"{line['way']:58}{line['writes_a_task']:>14.1f}{line['fetched_parts']:>15}{line['fetched_bytes'] / 2**20:>13.2f}")
        runs = {words(*case): results for case, results in found.items()}
        write(arguments.json, document("replicas", arguments.rounds, idle_writes_a_second=pace, summary=table, runs=runs))


def words(way, fails):
    return f"{way}, each attempt fails once" if fails else way


def keeper_port(work):
    words = (work / "bed" / "zoo.cfg").read_text()
    return re.search(r"^clientPort=(\d+)$", words, re.MULTILINE)[1]


def summary(found):
    return [
        {"way": words(*case), **{name: statistics.median(one[name] for one in results) for name in results[0]}}
        for case, results in found.items()
    ]


def add(commands, folder):
    command = commands.add_parser("replicas", help="writes of Keeper and bytes between two replicas")
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--files", type=int, default=16, help="one a task")
    command.add_argument("--rows", type=int, default=1_600_000)
    command.add_argument("--json", type=type(folder), default=folder / "replicas.json", metavar="FILE")
    command.set_defaults(run=run)
