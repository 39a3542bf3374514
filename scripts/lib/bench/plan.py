"""Plans of the same table side by side: time, and what is really in each chunk.

Every chunk's condition is read back and its rows, bytes and a sum over its values are counted on
the server, so that the sizes are not those the planner believes in.
"""

import os
import time

from . import tables
from .chkit import Chkit
from .common import Failed, bed, document, middle, now_us, parse_bytes, server_work, sql, write
from .product import Product

ROUNDS = 5
ROWS = 40_000_000
QUICK_ROWS = 400_000
BUDGETS = "256M,64M,16M"
QUICK_BUDGETS = "2M"
FINE_GRANULES = 500_000
QUICK_FINE_GRANULES = 10_000
WRAP = 2**64


def timed(planner, budget, *more):
    since = now_us()
    began = time.monotonic()
    plan = planner.plan(budget, *more)
    seconds = time.monotonic() - began
    return plan, {"seconds": seconds, "server": server_work(planner.user, since, now_us())}


def sizes(chunks, whole, budget):
    """Fill of the chunks. The last one of a partition is what is left, so it is told apart too."""
    chunks = [tables.sized(table, where) for table, where in chunks]
    rows = sum(chunk["rows"] for chunk in chunks)
    later, full = set(), []
    for chunk in reversed(chunks):
        # Chunks stand in the order of partition and key: the one that ends a partition has no follower in it.
        if later & set(chunk["partitions"]):
            full.append(chunk)
        later |= set(chunk["partitions"])
    fill = [chunk["bytes"] / budget for chunk in chunks if chunk["rows"]]
    return {
        "chunks": len(chunks), "empty": sum(1 for chunk in chunks if not chunk["rows"]),
        "rows_beside": rows - whole["rows"], "exact": rows == whole["rows"] and sum(chunk["hash"] for chunk in chunks) % WRAP == whole["hash"],
        "fill_mean": sum(fill) / len(fill), "fill_max": max(fill), "fill_min": min(fill),
        "fill_mean_without_last": mean([chunk["bytes"] / budget for chunk in full]),
        "over_budget": sum(1 for one in fill if one > 1),
        "bytes_by_chunk": [chunk["bytes"] for chunk in chunks],
    }


def mean(fill):
    return sum(fill) / len(fill) if fill else None


def measure(planners, kind, budget, rounds, whole):
    limit = parse_bytes(budget)
    found = {}
    target = f"{kind}_target"
    for planner in planners.values():
        planner.copy_of(kind, target)
    tables.create(kind, target)
    for name in planners:
        found[name] = {"runs": []}
    for number in range(rounds):
        for name, planner in planners.items():
            # Another plan each time; the same one would only be found again.
            more = [f"{kind} {budget} {number}"] if name == "longshore" else []
            plan, result = timed(planner, budget, *more)
            result["load_average"] = os.getloadavg()[0]
            found[name]["runs"].append(result)
            found[name]["plan"] = plan
    for name, planner in planners.items():
        one = found[name]
        one.update(sizes(planner.chunks(one.pop("plan")), whole, limit))
        one["seconds"] = middle([run["seconds"] for run in one["runs"]])
        one["server_span_seconds"] = middle([run["server"]["span_seconds"] for run in one["runs"]])
        one["statements"] = middle([run["server"]["statements"] for run in one["runs"]])
        one["read_rows"] = middle([run["server"]["read_rows"] for run in one["runs"]])
        one["server_cpu_seconds"] = middle([run["server"]["cpu_seconds"] for run in one["runs"]])
        told = one["fill_mean_without_last"]
        print(
            f"  {kind:8}{budget:>6}  {name:10}{one['seconds']:>8.3f} s ({one['server_span_seconds']:.3f} first to last statement, {one['statements']:.0f} statements)"
            f"{one['chunks']:>6} chunks  fill {one['fill_mean']:.3f} ({'-' if told is None else f'{told:.3f}'} without last)  max {one['fill_max']:.3f}"
            f"  over {one['over_budget']}  empty {one['empty']}  {exactness(one)}", flush=True,
        )
    return found


def exactness(one):
    return "exact" if one["exact"] else f"NOT EXACT ({one['rows_beside']:+,} rows)"


def fine(product, granules, rounds):
    """Planning by the granule: very many of them, in few bytes."""
    made = tables.fill_fine("fine", granules)
    sql("DROP TABLE IF EXISTS bench.fine_target SYNC")
    sql("CREATE TABLE bench.fine_target AS bench.fine")
    product.copy_of("fine", "fine_target")
    runs = []
    for number in range(rounds):
        plan, result = timed(product, max(made["bytes"] // 100, 1), f"fine {number}")
        runs.append(result)
    seconds = middle([run["seconds"] for run in runs])
    print(f"  {made['granules']:,} granules in {made['parts']} parts: {seconds:.3f} s, {plan['chunks']} chunks", flush=True)
    return {"granules": made["granules"], "parts": made["parts"], "rows": made["rows"], "chunks": plan["chunks"], "seconds": seconds, "runs": runs}


def run(arguments):
    rows = arguments.rows or (QUICK_ROWS if arguments.quick else ROWS)
    budgets = (arguments.budgets or (QUICK_BUDGETS if arguments.quick else BUDGETS)).split(",")
    rounds = arguments.rounds or (1 if arguments.quick else ROUNDS)
    kinds = arguments.kinds.split(",")
    with bed() as work:
        planners = {"longshore": Product()}
        if not arguments.alone:
            planners["chkit-py"] = Chkit(work)
        data, found = {}, {}
        for kind in kinds:
            tables.create(kind, kind)
            data[kind] = tables.fill(kind, kind, rows)
            if arguments.optimized:
                tables.optimize(kind)
                data[kind] = tables.facts(kind)
            whole = tables.sized(f"bench.{kind}")
            print(f"{kind}: {tables.KINDS[kind]['told']}; {rows:,} rows, {data[kind]['bytes'] / 2**20:,.0f} MiB uncompressed, {data[kind]['parts']} parts, {data[kind]['granules']:,} granules", flush=True)
            found[kind] = {budget: measure(planners, kind, budget, rounds, whole) for budget in budgets}
            sql(f"DROP TABLE bench.{kind} SYNC")
        small = fine(planners["longshore"], QUICK_FINE_GRANULES if arguments.quick else FINE_GRANULES, rounds)
        show(found)
        write(arguments.json, document("plan", rounds, rows=rows, data=data, plans=found, fine=small))
        if not all(planners["longshore"]["exact"] for budgets in found.values() for planners in budgets.values()):
            raise Failed("Longshore's chunks are not the table")


def show(found):
    print(f"\n{'table':9}{'budget':>7}  {'planner':11}{'median':>10}{'chunks':>8}{'fill':>8}{'w/o last':>10}{'max':>8}{'over':>6}{'empty':>7}{'times ours':>12}  rows")
    for kind, budgets in found.items():
        for budget, planners in budgets.items():
            base = planners["longshore"]["seconds"]
            for name, one in planners.items():
                told = one["fill_mean_without_last"]
                ratio = "" if name == "longshore" else f"{one['seconds'] / base:.0f}"
                print(
                    f"{kind:9}{budget:>7}  {name:11}{one['seconds']:>8.3f} s{one['chunks']:>8}{one['fill_mean']:>8.3f}{'-' if told is None else f'{told:.3f}':>10}"
                    f"{one['fill_max']:>8.3f}{one['over_budget']:>6}{one['empty']:>7}{ratio:>12}  {exactness(one)}"
                )


def add(commands, folder):
    command = commands.add_parser("plan", help="plans of a copy by Longshore and by chkit-py: time, and the chunks as counted")
    command.add_argument("--rounds", type=int)
    command.add_argument("--rows", type=int, help=f"of each table (default {ROWS:,})")
    command.add_argument("--budgets", help=f"bytes of a chunk (default {BUDGETS})")
    command.add_argument("--kinds", default=",".join(tables.KINDS), help="tables to make (default all)")
    command.add_argument("--optimized", action="store_true", help="merge each partition into one part first")
    command.add_argument("--alone", action="store_true", help="without chkit-py")
    command.add_argument("--quick", action="store_true", help="small tables, one round: is the script itself in order?")
    command.add_argument("--json", type=type(folder), default=folder / "plan.json", metavar="FILE")
    command.set_defaults(run=run)
