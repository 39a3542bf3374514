"""Other ways to the same rows: statements that a person would write, and ClickLoad's algorithm."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from .common import sql
from .events import DATABASE, TARGET, VIEWS, make_tables, source

LARGE_BLOCKS = {"min_insert_block_size_rows": 4_000_000, "min_insert_block_size_bytes": 1_000_000_000}
NARROW = {"max_threads": 1, "max_insert_threads": 1, **LARGE_BLOCKS}


def plain():
    """One INSERT, default settings."""
    sql(f"INSERT INTO {TARGET} SELECT * FROM {source()}")


def tuned():
    """One INSERT on all cores, large blocks."""
    sql(f"INSERT INTO {TARGET} SELECT * FROM {source()}", max_insert_threads=os.cpu_count(), **LARGE_BLOCKS)


def narrow(files, each):
    """As many INSERTs at a time as there are cores, of one thread and `each` files, large blocks."""
    lots = [files_of(range(first, min(first + each, files))) for first in range(0, files, each)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda lot: sql(f"INSERT INTO {TARGET} SELECT * FROM {source(lot)}", **NARROW), lots))


def files_of(numbers):
    return f"{{{','.join(f'{number:03}' for number in numbers)}}}"


def clickload(files, chunks, workers, views):
    """ClickLoad's algorithm (its worker of 2023, as its own text tells it): a worker takes a chunk, makes
    staging tables with clones of the views, inserts file after file, moves every partition of every
    staging table into its target, and drops the staging tables. Its lists and claims cost next to nothing
    here: they are left out."""
    each = -(-files // chunks)
    lots = [range(first, min(first + each, files)) for first in range(0, files, each)]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda numbered: _clickload_chunk(*numbered, views), enumerate(lots)))


def _clickload_chunk(number, lot, views):
    end = f"_staging_{number}_{time.monotonic_ns()}"
    base = f"{TARGET}{end}"
    make_tables(base, DATABASE, end, views)
    for file in lot:
        sql(f"INSERT INTO {base} SELECT * FROM {source(f'{file:03}')}")
    moved = [(base, TARGET)] + [(f"{DATABASE}.{name}{end}", f"{DATABASE}.{name}") for name, *_ in VIEWS[:views]]
    for staged, target in moved:
        database, table = staged.split(".")
        found = sql(f"SELECT DISTINCT partition_id FROM system.parts WHERE active AND database = '{database}' AND table = '{table}' FORMAT TSV")
        for partition in found.splitlines():
            sql(f"ALTER TABLE {staged} MOVE PARTITION ID '{partition}' TO TABLE {target}")
    for name, *_ in VIEWS[:views]:
        sql(f"DROP VIEW {DATABASE}.{name}_view{end} SYNC")
    for staged, _ in moved:
        sql(f"DROP TABLE {staged} SYNC")
