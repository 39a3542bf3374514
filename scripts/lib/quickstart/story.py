"""The chapters in their order."""

import argparse
import os
import re
import shlex
import sys
import time
from pathlib import Path

from .bed import start_bed
from .programs import build
from .scene import FILES, ROWS_PER_FILE, TARGET, make_files, make_tables
from .verify import verify
from .words import ROOT, Failed, chapter, paint, run, seconds, tell

WORKERS = 4
CHUNK_BYTES = "8M"


def load(bed):
    chapter(5, "Plan")
    tell("""`init` makes Longshore's control tables, once. `plan` has the server list the files,
         pins each by size and etag, and cuts them into chunks. Nothing is loaded yet. (This script
         adds --again, so that a second run loads into its new tables and is not told that the work
         is done.)""")
    run(["longshore", "init"])
    if bed.cluster:
        # So that workers can be at home there too.
        run(["longshore", "init", "--server", bed.second_url])
    planned = run(
        ["longshore", "plan", "files", "--target", TARGET, "--url", "quickstart/*.parquet",
         "--named-collection", bed.collection, "--chunk-bytes", CHUNK_BYTES,
         "--again", time.strftime("%Y-%m-%dT%H:%M:%S")],
        capture=True,
    )
    found = re.search(r"^Plan (\w+)", planned)
    if not found:
        raise Failed("`longshore plan files` printed no plan id.")
    plan = found.group(1)

    chapter(6, "Load")
    tell(f"""{WORKERS} workers take chunk after chunk. Each loads into staging tables of its own,
         views included, counts, writes down which parts it will move, and moves them into the
         target. Kill any of them at any time: another one goes on.""")
    began = time.monotonic()
    run(["longshore", "run", plan, "--workers", WORKERS])
    return plan, seconds(began)


def goodbye(plan, binaries, took, began):
    print()
    tell(f"All of it, once: {FILES * ROWS_PER_FILE:,} rows and their views, loaded in {took}. Everything together took {seconds(began)}.")
    bed = os.environ.get("LONGSHORE_TESTBED_DIR", ROOT / ".testbed")
    here = binaries.relative_to(Path.cwd()) if binaries.is_relative_to(Path.cwd()) else binaries
    here = f'export PATH="{binaries if here == binaries else f"$PWD/{here}"}:$PATH"'
    flag = "" if Path(bed).resolve() == (ROOT / ".testbed").resolve() else f" --dir {shlex.quote(str(bed))}"
    print(f"""
{paint('1', 'Now you')}

    eval "$(scripts/testbed env{flag})"     the bed's address, user and password
    {here}

    longshore status                       all jobs
    longshore status {plan}
    longshore tasks {plan}
    longshore task {plan}-0000000    the proof of one task: what was moved, where to
    longshore plan show {plan}

    # Say this twice: the id stays the same, so nothing is loaded twice by mistake.
    longshore plan files --target {TARGET} --url 'quickstart/*.parquet' --named-collection "$S3_COLLECTION"

    # Load a second copy on purpose, in smaller chunks, and kill a worker in the middle. The job
    # still ends with every row, once: count() of {TARGET} is {2 * FILES * ROWS_PER_FILE:,} then.
    longshore plan files --target {TARGET} --url 'quickstart/*.parquet' \\
        --named-collection "$S3_COLLECTION" --chunk-bytes 2M --again second-copy
    longshore run ID --workers 4 & sleep 3; kill -9 "$(pgrep -n -P $!)"; wait
    curl "$CLICKHOUSE_URL" -d 'SELECT count() FROM {TARGET}'

    scripts/testbed stop{flag}                   the data stays; `start` goes on with it
    scripts/testbed wipe{flag}                   everything goes""")


def main(arguments):
    parser = argparse.ArgumentParser(prog="quickstart", description="From nothing to a verified load.")
    parser.add_argument("--cluster", action="store_true", help="into replicated tables on two replicas, with three ZooKeepers")
    arguments = parser.parse_args(arguments)
    began = time.monotonic()
    print(paint("1", "Longshore loads files into ClickHouse exactly once. Here is one load, from nothing."))
    try:
        binaries = build()
        bed = start_bed(arguments.cluster)
        make_files(bed)
        make_tables(bed)
        plan, took = load(bed)
        verify(bed)
        goodbye(plan, binaries, took, began)
    except Failed as problem:
        sys.stdout.flush()
        print(f"\nscripts/quickstart: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nscripts/quickstart: stopped. Run it again at any time.", file=sys.stderr)
        return 130
    return 0
