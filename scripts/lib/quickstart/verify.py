"""The proof: files and tables, asked the same questions."""

from .scene import DATABASE, TARGET
from .words import Failed, chapter, paint, tell

COLUMNS = "id, started, city, plate, fare, tags"


def verify(bed):
    """Every table against the same question asked of the files: rows, and a checksum over all values."""
    chapter(7, "Is it all there, and only once?")
    tell("""Rows, and the sum of a hash over every value of every row: once from the files, once
         from the tables. For the views: their SELECT, asked of the files.""")
    files = bed.files()
    # The same types on both sides: Parquet has no LowCardinality and may be Nullable.
    source = (
        f"(SELECT assumeNotNull(id) AS id, toDateTime(assumeNotNull(started), 'UTC') AS started, "
        f"toString(assumeNotNull(city)) AS city, toString(assumeNotNull(plate)) AS plate, "
        f"CAST(assumeNotNull(fare), 'Decimal(8, 2)') AS fare, CAST(tags, 'Array(String)') AS tags FROM {files})"
    )
    takings = "city, toDate(started) AS day, count() AS rides, CAST(sum(fare), 'Decimal(18, 2)') AS fares"
    questions = [
        (TARGET, f"(SELECT {COLUMNS} FROM {TARGET})", f"(SELECT {COLUMNS} FROM {source})"),
        (
            f"{DATABASE}.takings",
            f"(SELECT city, day, sum(rides) AS rides, CAST(sum(fares), 'Decimal(18, 2)') AS fares FROM {DATABASE}.takings GROUP BY city, day)",
            f"(SELECT {takings} FROM {source} GROUP BY city, day)",
        ),
        (
            f"{DATABASE}.dear_rides",
            f"(SELECT id, plate, fare FROM {DATABASE}.dear_rides)",
            f"(SELECT id, plate, fare FROM {source} WHERE fare > 90)",
        ),
    ]
    print(f"\n    {'':24}{'files':>12}  {'table':>12}    {'hash of files':>20}  {'hash of table':>20}")
    equal = True
    for table, in_table, in_files in questions:
        ask = "SELECT count(), sum(cityHash64(*)) FROM "
        wanted = bed.sql(ask + in_files).split("\t")
        found = bed.sql(ask + in_table).split("\t")
        same = wanted == found and int(wanted[0]) > 0
        equal &= same
        mark = paint("32", "equal") if same else paint("31", "DIFFERENT")
        print(
            f"    {table:24}{int(wanted[0]):>12,}  {int(found[0]):>12,}    {wanted[1]:>20}  {found[1]:>20}  {mark}",
            flush=True,
        )
    equal &= not bed.cluster or verify_replicas(bed, [table for table, *_ in questions])
    left = bed.sql("SELECT count() FROM system.tables WHERE database = 'longshore_staging'")
    print(f"\n    staging tables left: {left}")
    if not equal:
        raise Failed("the tables are not what the files are. That must never happen: please report it.")
    if left != "0":
        raise Failed("staging tables are left behind. Please report it.")


def verify_replicas(bed, tables):
    """Does the second replica hold the same, once it has fetched everything?"""
    print(f"\n    {'':24}{'replica 1':>12}  {'replica 2':>12}    {'its hash':>20}  {'its hash':>20}")
    equal = True
    for table in tables:
        inner = bed.sql(f"SELECT name FROM system.tables WHERE database = '{DATABASE}' AND name LIKE '.inner%'")
        stored = f"{DATABASE}.`{inner}`" if table.endswith("dear_rides") else table
        bed.sql(f"SYSTEM SYNC REPLICA {stored}", bed.second_url)
        ask = f"SELECT count(), sum(cityHash64(*)) FROM {table} SETTINGS final = 1"
        first, second = bed.sql(ask).split("\t"), bed.sql(ask, bed.second_url).split("\t")
        same = first == second
        equal &= same
        mark = paint("32", "equal") if same else paint("31", "DIFFERENT")
        print(f"    {table:24}{int(first[0]):>12,}  {int(second[0]):>12,}    {first[1]:>20}  {second[1]:>20}  {mark}", flush=True)
    return equal
