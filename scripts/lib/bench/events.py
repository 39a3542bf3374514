"""The files that are loaded, and the table with its views that they are loaded into."""

import os

from .common import sql

DATABASE = "bench"
TARGET = f"{DATABASE}.events"
PARTITIONS = 4
SEED = 7
STRUCTURE = "id UInt64, at DateTime('UTC'), word String"
# Name, columns, key and query of each view's target.
VIEWS = [
    ("by_day", "day Date, rows UInt64", "day", "SELECT toDate(at) AS day, count() AS rows FROM {base} GROUP BY day"),
    ("by_tail", "tail String, rows UInt64, ids UInt64", "tail", "SELECT splitByChar('-', word)[2] AS tail, count() AS rows, sum(id) AS ids FROM {base} GROUP BY tail"),
    # Long expressions, which a server may compile: Longshore asks it not to.
    ("by_sum", "rest UInt64, worth Int64, price UInt64", "rest", "SELECT id % 1000 AS rest, sum(toInt64((id * 3 + 1) * (id % 7) / (id % 11 + 1) - id / 3 + abs(toInt64(id) - 500000) * 0.25)) AS worth, sum(intDiv(id * 19, 7) + (id % 13) * (id % 17) + bitXor(id, 255)) AS price FROM {base} GROUP BY rest"),
]
FORMATS = {"Parquet": "parquet", "CSVWithNames": "csv", "JSONEachRow": "jsonl"}


class Kind:
    """The format of the files of this run."""

    format = "Parquet"


def pattern(what="*"):
    """A pattern of names, of this run's format."""
    return f"{what}.{FORMATS[Kind.format]}"


def source(what="*"):
    return f"s3({os.environ['S3_COLLECTION']}, filename='bench/{pattern(what)}', format='{Kind.format}', structure='{STRUCTURE.replace(chr(39), chr(92) + chr(39))}')"


def make_files(files, rows, kind="Parquet"):
    """Rows of all partitions are in every file: each task has to publish each partition."""
    Kind.format = kind
    each = rows // files
    for number in range(files):
        sql(
            f"INSERT INTO FUNCTION s3({os.environ['S3_COLLECTION']}, filename='bench/{pattern(f'{number:03}')}', format='{Kind.format}') "
            f"SELECT number AS id, toDateTime('2026-01-15 00:00:00', 'UTC') + toIntervalMonth(number % {PARTITIONS}) + toIntervalSecond(intDiv(number, {PARTITIONS}) % 864000) AS at, "
            f"concat(hex(cityHash64(number)), '-', toString(number % 1000)) AS word FROM numbers({number * each}, {each}) "
            f"SETTINGS s3_truncate_on_insert = 1"
        )
    return int(sql(f"SELECT sum(_size) FROM s3({os.environ['S3_COLLECTION']}, filename='bench/{pattern()}', format='One')"))


def fresh_tables(views=0):
    for name, *_ in VIEWS:
        sql(f"DROP VIEW IF EXISTS {DATABASE}.{name}_view SYNC")
        sql(f"DROP TABLE IF EXISTS {DATABASE}.{name} SYNC")
    sql(f"DROP TABLE IF EXISTS {TARGET} SYNC")
    make_tables(TARGET, DATABASE, "", views)


def make_tables(base, database, end, views):
    """The table, and its views with their targets; `end` sets the names of a staging set apart."""
    sql(f"CREATE TABLE {base} ({STRUCTURE}) ENGINE = MergeTree PARTITION BY toYYYYMM(at) ORDER BY id")
    for name, columns, key, query in VIEWS[:views]:
        sql(f"CREATE TABLE {database}.{name}{end} ({columns}) ENGINE = SummingMergeTree ORDER BY {key}")
        sql(f"CREATE MATERIALIZED VIEW {database}.{name}_view{end} TO {database}.{name}{end} AS {query.format(base=base)}")


def contents(views=0):
    """What is in the tables, whatever is merged already."""
    found = [sql(f"SELECT count(), sum(cityHash64(id, at, word)) FROM {TARGET}")]
    for name, columns, key, _ in VIEWS[:views]:
        sums = [f"sum({column.split()[0]}) AS s{at}" for at, column in enumerate(columns.split(", ")[1:])]
        hashed = ", ".join([key, *(f"s{at}" for at in range(len(sums)))])
        found.append(sql(f"SELECT count(), sum(cityHash64({hashed})) FROM (SELECT {key}, {', '.join(sums)} FROM {DATABASE}.{name} GROUP BY {key})"))
    return found


def wanted(views=0):
    """The same of the files."""
    found = [sql(f"SELECT count(), sum(cityHash64(id, at, word)) FROM {source()}")]
    for _name, columns, _key, query in VIEWS[:views]:
        names = [column.split()[0] for column in columns.split(", ")]
        found.append(sql(f"SELECT count(), sum(cityHash64({', '.join(names)})) FROM ({query.format(base=source())})"))
    return found


def parts():
    return int(sql(f"SELECT count() FROM system.parts WHERE active AND database = '{DATABASE}' AND table = 'events'"))


def merges():
    return int(sql(f"SELECT count() FROM system.merges WHERE database = '{DATABASE}'"))
