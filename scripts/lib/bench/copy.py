"""Copies of the same table: one plain INSERT … SELECT, Longshore and chkit-py.

Each round makes every variant once, on a fresh target; the order changes from round to round. The
target is compared with the source each time. Dirty pages are written out before each variant.
"""

import json
import os
import random
import time

from . import tables
from .chkit import Chkit
from .common import Failed, bed, document, longshore, middle, now_us, server_work, sql, write
from .load import steps
from .product import Product

ROUNDS = 5
ROWS = 40_000_000
QUICK_ROWS = 400_000
SEED = 7
TARGET = "copied"
LOAD_SETTINGS = ["max_insert_threads", "max_threads", "max_block_size", "min_insert_block_size_rows", "min_insert_block_size_bytes"]

PLAIN = "plain INSERT SELECT"
SAME = "plain INSERT SELECT, Longshore's settings"


def variants(alone):
    found = {PLAIN: plain, SAME: same, "Longshore, 1 worker": product(1), "Longshore, 2 workers": product(2)}
    if not alone:
        found["chkit-py, default options"] = chkit([])
        found["chkit-py, 2 at a time, polls every 0.1 s"] = chkit(["--concurrency", 2, "--poll-interval", 100])
    return found


def insert(bench, settings):
    began = time.monotonic()
    sql(f"INSERT INTO bench.{TARGET} SELECT * FROM bench.{bench.kind}", **settings)
    return {"seconds": time.monotonic() - began}


def plain(bench):
    return insert(bench, {})


def same(bench):
    return insert(bench, bench.settings)


def product(workers):
    def go(bench):
        bench.product.copy_of(bench.kind, TARGET)
        began = time.monotonic()
        bench.number += 1
        plan = bench.product.plan(bench.budget, f"copy {bench.number}")
        planned = time.monotonic()
        since = now_us()
        longshore("run", plan["plan_id"], "--workers", workers)
        ended = time.monotonic()
        bench.settings = settings_of(plan["plan_id"])
        return {"seconds": ended - planned, "plan_seconds": planned - began, "chunks": plan["chunks"], "steps": steps(plan["plan_id"], since)}

    return go


def chkit(options):
    def go(bench):
        bench.chkit.copy_of(bench.kind, TARGET)
        began = time.monotonic()
        plan = bench.chkit.plan(bench.budget)
        planned = time.monotonic()
        ran = bench.chkit.call("run", "--plan-id", plan["planId"], *options)
        if ran["status"] != "completed":
            raise Failed(f"chkit-py: {ran}")
        return {"seconds": time.monotonic() - planned, "plan_seconds": planned - began, "chunks": plan["chunkCount"]}

    return go


def settings_of(job):
    """What the job's loads were sent with, for the plain INSERT to have the same."""
    sql("SYSTEM FLUSH LOGS")
    told = sql(f"SELECT toJSONString(Settings) FROM system.query_log WHERE type = 'QueryFinish' AND startsWith(query_id, '{job}-') AND query_id LIKE '%-load' LIMIT 1")
    if not told:
        raise Failed(f"job {job} has no load in the query log")
    found = json.loads(json.loads(f'"{told}"') if told.startswith('{\\"') else told)
    return {name: found[name] for name in LOAD_SETTINGS if name in found}


def measure(bench, variant, go):
    tables.create(bench.kind, TARGET)
    os.sync()
    busy = os.getloadavg()[0]
    since = now_us()
    result = go(bench)
    result["load_average_before"] = busy
    result["server"] = server_work("%", since, now_us())
    result["parts"] = int(sql(f"SELECT count() FROM system.parts WHERE active AND database = 'bench' AND table = '{TARGET}'"))
    if (found := tables.contents(TARGET)) != bench.wanted:
        raise Failed(f"{variant}: the copy is not the table: {found} instead of {bench.wanted}")
    return result


class Bench:
    number = 0
    settings = None


def summary(found, rows, size):
    base = middle([one["seconds"] for one in found[PLAIN]])
    table = []
    for variant, results in found.items():
        seconds = [one["seconds"] for one in results]
        # Rounds are pairs: what the machine did besides in a round, it did to both.
        ratios = [one["seconds"] / plain["seconds"] for one, plain in zip(results, found[PLAIN])]
        table.append({
            "variant": variant, "seconds": middle(seconds), "seconds_min": min(seconds), "seconds_max": max(seconds),
            "times_plain": middle(seconds) / base, "times_plain_in_round": middle(ratios), "cpu_seconds": middle([one["server"]["cpu_seconds"] for one in results]),
            "plan_seconds": middle([one.get("plan_seconds", 0) for one in results]), "chunks": results[0].get("chunks"),
            "parts": round(middle([one["parts"] for one in results])), "rows_per_second": round(rows / middle(seconds)), "mib_per_second": round(size / middle(seconds) / 2**20),
        })
    return table


def run(arguments):
    bench = Bench()
    rows = arguments.rows or (QUICK_ROWS if arguments.quick else ROWS)
    rounds = arguments.rounds or (1 if arguments.quick else ROUNDS)
    bench.budget = arguments.budget or ("2M" if arguments.quick else "256M")
    bench.kind = arguments.kind
    with bed() as work:
        bench.product = Product()
        bench.chkit = None if arguments.alone else Chkit(work)
        tables.create(bench.kind, bench.kind)
        data = tables.fill(bench.kind, bench.kind, rows)
        bench.wanted = tables.contents(bench.kind)
        print(f"{bench.kind}: {tables.KINDS[bench.kind]['told']}; {rows:,} rows, {data['bytes'] / 2**20:,.0f} MiB uncompressed, {data['parts']} parts; budget {bench.budget}", flush=True)
        chosen = variants(arguments.alone)
        # Not counted: it warms the caches and tells the settings of the loads.
        measure(bench, "warm-up", product(1))
        found = {variant: [] for variant in chosen}
        shuffle = random.Random(SEED)
        for number in range(rounds):
            order = list(chosen)
            shuffle.shuffle(order)
            for variant in order:
                result = measure(bench, variant, chosen[variant])
                found[variant].append(result)
                print(
                    f"  round {number + 1}  {variant:42}{result['seconds']:>8.2f} s  plan {result.get('plan_seconds', 0):.2f} s  {result['parts']:>4} parts"
                    f"  cpu {result['server']['cpu_seconds']:.1f} s  load {result['load_average_before']:.1f}", flush=True,
                )
        table = summary(found, rows, data["bytes"])
        print(f"\n{'variant':44}{'median':>10}{'min':>8}{'max':>8}{'of plain':>10}{'in round':>10}{'server cpu':>12}{'plan':>8}{'chunks':>8}{'parts':>7}")
        for line in table:
            print(
                f"{line['variant']:44}{line['seconds']:>8.2f} s{line['seconds_min']:>8.2f}{line['seconds_max']:>8.2f}{line['times_plain']:>10.2f}"
                f"{line['times_plain_in_round']:>10.2f}{line['cpu_seconds']:>10.1f} s{line['plan_seconds']:>6.2f} s{line['chunks'] or 1:>8}{line['parts']:>7}"
            )
        write(arguments.json, document("copy", rounds, rows=rows, budget=bench.budget, kind=bench.kind, data=data, settings=bench.settings, summary=table, runs=found))


def add(commands, folder):
    command = commands.add_parser("copy", help="copies of a table by plain INSERT SELECT, Longshore and chkit-py")
    command.add_argument("--rounds", type=int)
    command.add_argument("--rows", type=int, help=f"of the table (default {ROWS:,})")
    command.add_argument("--budget", help="bytes of a chunk (default 256M)")
    command.add_argument("--kind", default="hot", choices=list(tables.KINDS), help="table to make")
    command.add_argument("--alone", action="store_true", help="without chkit-py")
    command.add_argument("--quick", action="store_true", help="a small table, one round: is the script itself in order?")
    command.add_argument("--json", type=type(folder), default=folder / "copy.json", metavar="FILE")
    command.set_defaults(run=run)
