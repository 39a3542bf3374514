"""Tables that are copied: fixed data, parts as inserts and merges leave them."""

import json

from .common import Failed, sql

DATABASE = "bench"
PARTITIONS = 4
FIRST_MONTH = "2026-01-01 00:00:00"
DAYS = 28
# Shares of a partition's parts: what merges leave is one large part and a tail of small ones.
PART_SHARES = [50, 25, 12, 7, 4, 2]
HOT = "p-hot"
HOT_PERCENT = 45
PROJECTS = 400
GRANULE_ROWS = 8192

PAYLOAD = "user UInt64, path String, status UInt16, value Float64"
# A hash of the row's number is the only source of chance: the same rows each time.
MAKE_PAYLOAD = (
    "cityHash64(n, 1) AS user, "
    "concat('/', ['cart', 'item', 'list', 'pay', 'search'][n % 5 + 1], '/', toString(cityHash64(n, 2) % 100000), '?ref=', substring(hex(cityHash64(n, 3)), 1, 12)) AS path, "
    "[200, 200, 200, 304, 404][cityHash64(n, 4) % 5 + 1] AS status, "
    "round(cityHash64(n, 5) % 1000000 / 7, 2) AS value"
)

# name: what it is, columns of the key with types, how a row's key is made of its number, sort key, does it have months
KINDS = {
    "hot": {
        "told": f"4 months, key (project, ts), one project holds {HOT_PERCENT} %",
        "columns": "project String, ts DateTime('UTC')",
        "make": f"if(cityHash64(n, 6) % 100 < {HOT_PERCENT}, '{HOT}', concat('p-', leftPad(toString(cityHash64(n, 7) % {PROJECTS}), 4, '0'))) AS project",
        "key": "project, ts",
    },
    "numeric": {
        "told": "4 months, key (id), a number",
        "columns": "id UInt64, ts DateTime('UTC')",
        "make": "cityHash64(n, 8) AS id",
        "key": "id",
    },
    "string": {
        "told": "4 months, key (name), uniform text",
        "columns": "name String, ts DateTime('UTC')",
        "make": "lower(hex(cityHash64(n, 9))) AS name",
        "key": "name",
    },
    "single": {
        "told": "one partition, one key value",
        "columns": "tenant String, ts DateTime('UTC')",
        "make": "'only' AS tenant",
        "key": "tenant",
        "partitions": 1,
    },
}


def partitions(kind):
    return KINDS[kind].get("partitions", PARTITIONS)


def create(kind, name, engine="MergeTree", settings=None):
    one = KINDS[kind]
    by = "PARTITION BY toYYYYMM(ts) " if partitions(kind) > 1 else ""
    told = "".join(f", {key} = {value}" for key, value in (settings or {}).items())
    sql(f"DROP TABLE IF EXISTS {DATABASE}.{name} SYNC")
    sql(
        f"CREATE TABLE {DATABASE}.{name} ({one['columns']}, {PAYLOAD}) ENGINE = {engine} {by}ORDER BY ({one['key']}) "
        f"SETTINGS index_granularity = {GRANULE_ROWS}{told}"
    )


def fill(kind, name, rows):
    """Fills the table; merges are stopped, so that every round finds the same parts."""
    sql(f"SYSTEM STOP MERGES {DATABASE}.{name}")
    one = KINDS[kind]
    each = rows // partitions(kind)
    for month in range(partitions(kind)):
        first, end = month * each, (month + 1) * each if month + 1 < partitions(kind) else rows
        done = 0
        for share in PART_SHARES:
            size = (end - first) * share // sum(PART_SHARES)
            if share == PART_SHARES[-1]:
                size = end - first - done
            sql(
                f"INSERT INTO {DATABASE}.{name} SELECT {one['make']}, "
                f"toDateTime('{FIRST_MONTH}', 'UTC') + toIntervalMonth({month}) + toIntervalSecond(cityHash64(n, 10) % {DAYS * 86400}) AS ts, "
                f"{MAKE_PAYLOAD} FROM (SELECT number AS n FROM numbers({first + done}, {size}))",
                max_insert_threads=1, min_insert_block_size_rows=size, min_insert_block_size_bytes=0, max_insert_block_size=max(size, 1), max_block_size=65536,
            )
            done += size
    found = facts(name)
    if found["rows"] != rows:
        raise Failed(f"{name} has {found['rows']} rows, not {rows}")
    return found


def optimize(name):
    """One part a partition."""
    sql(f"SYSTEM START MERGES {DATABASE}.{name}")
    sql(f"OPTIMIZE TABLE {DATABASE}.{name} FINAL")
    sql(f"SYSTEM STOP MERGES {DATABASE}.{name}")


def facts(name):
    answer = sql(
        f"SELECT sum(rows), sum(data_uncompressed_bytes), sum(data_compressed_bytes), count(), uniqExact(partition_id), sum(marks) - count() FROM system.parts "
        f"WHERE active AND database = '{DATABASE}' AND table = '{name}' FORMAT TSV"
    ).split("\t")
    return dict(zip(["rows", "bytes", "compressed_bytes", "parts", "partitions", "granules"], map(int, answer)))


def sized(table, where="1"):
    """Rows, uncompressed bytes and a sum over all values of what a condition holds for, by reading it."""
    answer = sql(f"SELECT count(), sum(byteSize(*)), sum(cityHash64(*)), groupUniqArray(_partition_id) FROM {table} WHERE {where} FORMAT JSONCompactEachRow")
    rows, size, total, found = json.loads(answer)
    return {"rows": int(rows), "bytes": int(size), "hash": int(total), "partitions": sorted(found)}


def fill_fine(name, granules):
    """Very many granules in few bytes: what planning costs by the granule."""
    rows = 8
    sql(f"DROP TABLE IF EXISTS {DATABASE}.{name} SYNC")
    sql(f"CREATE TABLE {DATABASE}.{name} (project UInt32, at UInt32, value UInt8) ENGINE = MergeTree ORDER BY (project, at) SETTINGS index_granularity = {rows}, min_bytes_for_wide_part = 0")
    sql(f"SYSTEM STOP MERGES {DATABASE}.{name}")
    for part in range(5):
        sql(
            f"INSERT INTO {DATABASE}.{name} SELECT cityHash64(n, 1) % 1000, cityHash64(n, 2), cityHash64(n, 3) FROM (SELECT number AS n FROM numbers({part * granules // 5 * rows}, {granules // 5 * rows}))",
            max_insert_threads=1, min_insert_block_size_rows=granules * rows, min_insert_block_size_bytes=0, max_insert_block_size=granules * rows,
        )
    return facts(name)


def contents(name):
    """Two tables with the same answer hold the same rows, as often."""
    return sql(f"SELECT count(), sum(cityHash64(*)), groupBitXor(cityHash64(*, 1)) FROM {DATABASE}.{name} FORMAT TSV")
