"""Many Parquet files with a few drifts among them: time of `plan files --validate`, and whether each is found."""

import json
import os
import subprocess
import time

from .common import Failed, bed, document, middle, sql, write

ROUNDS = 3
FILES = 10_000
FILES_A_STATEMENT = 500
# What differs, by the number of the file.
DRIFTS = {
    1_234: ("type", "toUInt64(number) AS id, toString(number) AS word"),
    3_456: ("missing", "toUInt32(number) AS id"),
    5_678: ("surplus", "toUInt32(number) AS id, toString(number) AS word, 1 AS extra"),
    7_890: ("nulls", "toNullable(toUInt32(number)) AS id, if(number = 0, NULL, 'x') AS word"),
    9_012: ("broken", None),
}


def place(name, format="Parquet"):
    return f"s3({os.environ['S3_COLLECTION']}, filename = 'validate/{name}', format = '{format}')"


def make_files(files):
    for first in range(0, files, FILES_A_STATEMENT):
        last = min(first + FILES_A_STATEMENT, files)
        # Each partition is a file of ten rows.
        sql(
            f"INSERT INTO FUNCTION {place('{_partition_id}.parquet')} PARTITION BY leftPad(toString({first} + intDiv(id, 10)), 6, '0') "
            f"SELECT toUInt32(number) AS id, toString(number) AS word FROM numbers({(last - first) * 10})",
            max_partitions_per_insert_block=0, s3_truncate_on_insert=1,
        )
    planted = 0
    for number, (_, columns) in DRIFTS.items():
        if number >= files:
            continue
        planted += 1
        select = f"SELECT {columns} FROM numbers(10)" if columns else "SELECT 'PAR1, and nothing else'"
        format = "Parquet" if columns else "RawBLOB"
        sql(f"INSERT INTO FUNCTION {place(f'{number:06}.parquet', format)} {select}", s3_truncate_on_insert=1)
    return planted


def validate():
    began = time.monotonic()
    done = subprocess.run(
        ["longshore", "--json", "plan", "files", "--target", "bench.validated", "--url", "validate/*.parquet",
         "--named-collection", os.environ["S3_COLLECTION"], "--validate"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )
    took = time.monotonic() - began
    if done.returncode != 8:
        raise Failed(f"plan files --validate: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return took, json.loads(done.stdout)["findings"]


def run(arguments):
    rounds = []
    with bed():
        sql("CREATE TABLE bench.validated (id UInt32, word String) ENGINE = MergeTree ORDER BY id")
        planted = make_files(arguments.files)
        print(f"{arguments.files:,} Parquet files, {planted} of them with a drift", flush=True)
        for _ in range(arguments.rounds):
            took, findings = validate()
            found = sorted(finding["what"] for finding in findings)
            wanted = sorted(what for number, (what, _) in DRIFTS.items() if number < arguments.files)
            if found != wanted or any(finding["files"] != 1 for finding in findings):
                raise Failed(f"found {findings}, planted {wanted}")
            rounds.append({"files": arguments.files, "seconds": took, "found": found})
            print(f"{took:.1f} s, found: {', '.join(found)}", flush=True)
        print(f"\nMedian: {middle([one['seconds'] for one in rounds]):.1f} s for {arguments.files:,} files")
        result = document("validate", rounds)
    write(arguments.json, result)


def add(commands, folder):
    parser = commands.add_parser("validate", help="many files against the target before anything is written")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--json", type=type(folder), default=folder / "validate.json")
    parser.set_defaults(run=run)
