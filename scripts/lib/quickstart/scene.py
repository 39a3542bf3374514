"""What is loaded, and into what: files that are the same in every run, and a table that is not simple."""

import re
import time

from .words import chapter, seconds, show, tell

FILES = 24
ROWS_PER_FILE = 250_000
DATABASE = "quickstart"
TARGET = f"{DATABASE}.rides"

MAKE_TABLES = f"""\
CREATE TABLE {TARGET}
(
    id UInt64,
    started DateTime('UTC'),
    city LowCardinality(String),
    plate String,
    fare Decimal(8, 2),
    tags Array(String),
    PROJECTION by_plate (SELECT plate, count(), sum(fare) GROUP BY plate)
)
ENGINE = MergeTree PARTITION BY toYYYYMM(started) ORDER BY (city, started);

CREATE TABLE {DATABASE}.takings (city LowCardinality(String), day Date, rides UInt64, fares Decimal(18, 2))
ENGINE = SummingMergeTree ORDER BY (city, day);

CREATE MATERIALIZED VIEW {DATABASE}.to_takings TO {DATABASE}.takings AS
SELECT city, toDate(started) AS day, count() AS rides, sum(fare) AS fares
FROM {TARGET} GROUP BY city, day;

CREATE MATERIALIZED VIEW {DATABASE}.dear_rides ENGINE = MergeTree ORDER BY id AS
SELECT id, plate, fare FROM {TARGET} WHERE fare > 90"""

# What one sample file holds. The numbers depend on the row only, so every run writes the same rows.
SAMPLE_ROWS = """\
SELECT number AS id,
       toDateTime('2026-01-01 00:00:00', 'UTC') + toIntervalSecond(number * 2) AS started,
       ['Lisbon', 'Kraków', 'São Paulo', 'Osaka', 'Tromsø'][1 + cityHash64(number, 'c') % 5] AS city,
       concat('LS-', toString(cityHash64(number, 'p') % 5000)) AS plate,
       toDecimal64(5 + cityHash64(number, 'f') % 9000 / 100, 2) AS fare,
       arrayMap(i -> concat('tag', toString(cityHash64(number, i) % 7)), range(number % 3)) AS tags
FROM numbers({first}, {rows})"""


def tables_of(cluster):
    """The statements that make the tables, on every replica of a cluster if there is one."""
    if not cluster:
        return MAKE_TABLES
    text = re.sub(r"^(CREATE (?:TABLE|MATERIALIZED VIEW) \S+)", rf"\1 ON CLUSTER {cluster}", MAKE_TABLES, flags=re.MULTILINE)
    return re.sub(r"ENGINE = (\w*MergeTree)", r"ENGINE = Replicated\1", text)


def make_files(bed):
    chapter(3, f"{FILES} files in a bucket")
    rows = FILES * ROWS_PER_FILE
    tell(f"""Taxi rides, {rows:,} of them, as Parquet. The server writes them with
         INSERT INTO FUNCTION s3({bed.collection}, filename='quickstart/rides-00.parquet') SELECT …""")
    began = time.monotonic()
    for number in range(FILES):
        name = f"quickstart/rides-{number:02}.parquet"
        bed.sql(
            f"INSERT INTO FUNCTION s3({bed.collection}, filename='{name}', format='Parquet')\n"
            + SAMPLE_ROWS.format(first=number * ROWS_PER_FILE, rows=ROWS_PER_FILE)
            + "\nSETTINGS s3_truncate_on_insert = 1"
        )
    size = bed.sql(f"SELECT formatReadableSize(sum(_size)) FROM s3({bed.collection}, filename='quickstart/*.parquet', format='One')")
    print()
    tell(f"{FILES} files, {size}, in {seconds(began)}.")


def make_tables(bed):
    chapter(4, "A table that is not simple")
    tell("""It has a partition key, a projection and two materialized views: one fills a table of
         sums, the other keeps its own. An interrupted INSERT here leaves rows in some and not
         in others.""")
    statements = tables_of(bed.cluster)
    show(statements)
    everywhere = f" ON CLUSTER {bed.cluster}" if bed.cluster else ""
    bed.sql(f"DROP DATABASE IF EXISTS {DATABASE}{everywhere} SYNC")
    bed.sql(f"CREATE DATABASE {DATABASE}{everywhere} ENGINE = Atomic")
    for statement in statements.split(";\n"):
        bed.sql(statement)
