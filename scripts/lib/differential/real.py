"""The campaign over real files: each into a table of its own types, and into one of narrower and other types."""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

from . import oracle, packages, product
from . import types as t
from .compare import CANONICAL, LOST, ROUNDED, SAME, canonical, compare
from .paths import programs
from .scene import Column
from .server import Broken, Refused, ask, bed, name, put, remove, s3
from .verdict import gist, names

BYTES_MAX = 3 << 20
EXACT, REFUSED, FAILED, NOTED, LOSSY, UNEXPLAINED, UNREADABLE = "exact", "refused", "failed", "noted", "as the plain INSERT", "UNEXPLAINED", "not read by the server"
ONE_ORDER = {"max_threads": 1, "max_insert_threads": 1, "max_parsing_threads": 1, "input_format_parallel_parsing": 0}


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/real-files", description="Loads files that public packages ship, and compares with one plain INSERT … SELECT of each.",
        epilog="Exit code 0: no difference without an explanation; 1: there was one. The packages are fetched into a folder that is deleted.",
    )
    parser.add_argument("--dir", metavar="BED", help="use this running bed (default: one of its own, wiped at the end)")
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="take the files of this folder instead of fetching packages")
    parser.add_argument("--package", action="append", metavar="NAME", help="only this package; may be repeated")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="draws the other types (default 1)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="one line of JSON a load")
    return parser.parse_args(arguments)


def other_type(rng, one):
    """A type that holds some or all values of another: what a careful table has in place of a guessed type."""
    bare = one.bare
    choices = {
        "int": [t.integer(True, 32), t.integer(False, 8), t.integer(True, 64), t.STRING, t.floating(64), t.integer(True, 16)],
        "float": [t.floating(32), t.decimal(18, 4), t.integer(True, 32), t.STRING, t.floating(64)],
        "string": [t.low(t.STRING), t.fixed(8), t.STRING, t.STRING],
        "date": [t.DATE32, t.STRING, t.datetime()], "date32": [t.DATE, t.STRING],
        "time": [t.DATE, t.datetime64(3), t.STRING], "time64": [t.datetime(), t.DATE, t.datetime64(3), t.STRING],
        "decimal": [t.decimal(9, 2), t.floating(64), t.STRING], "bool": [t.integer(False, 8), t.STRING, t.BOOL],
    }.get(bare.family)
    if one.family == "array":
        return t.array(other_type(rng, one.children[0]))
    if choices is None:
        return one
    chosen = rng.choice(choices)
    return t.nullable(chosen) if one.null and rng.random() < 0.6 else chosen


class Load:
    """One file into one table."""

    def __init__(self, database, key, form, title, columns, kind):
        self.database, self.key, self.form, self.title, self.columns, self.kind = database, key, form, title, columns, kind
        self.insertable = columns

    def ddl(self, table):
        return f"CREATE TABLE {table} ({', '.join(one.ddl() for one in self.columns)}) ENGINE = MergeTree ORDER BY tuple()"

    def plain(self, table, structure):
        """Rows of a plain INSERT … SELECT, or its error."""
        ask(self.ddl(table))
        listed = ", ".join(name(one.name) for one in self.columns)
        told = ", ".join(f"{name(one.name)} {one.type.name}" for one in self.columns) if structure else ""
        try:
            ask(f"INSERT INTO {table} SELECT {listed} FROM {s3(self.key, self.form, told)}", **oracle.SANE, **ONE_ORDER)
            return oracle.Witness(table, oracle.rows_of(self, table))
        except Refused as problem:
            return oracle.Witness(table, error=str(problem))

    def values(self, table):
        listed = ", ".join(name(one.name) for one in self.columns)
        answer = ask(f"SELECT {listed} FROM {table} FORMAT JSONCompactEachRow", **CANONICAL, **ONE_ORDER)
        for line in answer.splitlines():
            yield [canonical(v, c.type) for c, v in zip(self.columns, json.loads(line.decode("utf-8", "surrogateescape"), parse_float=str))]

    def losses(self, own, table):
        """First value of each column that came out as another one."""
        found = {}
        for mine, theirs in zip(own.values(f"{self.database}.own"), self.values(table)):
            for column, other, a, b in zip(own.columns, self.columns, mine, theirs):
                if column.name not in found or found[column.name][0] == ROUNDED:
                    verdict = compare(a, column.type, b, other.type) if column.type.family != "other" else SAME
                    if verdict != SAME:
                        found[column.name] = (verdict, f"{str(a)[:60]} became {str(b)[:60]}")
        return found


def judge(load, own, target, env):
    first = load.plain(f"{load.database}.first_{load.kind}", structure=True)
    second = load.plain(f"{load.database}.second_{load.kind}", structure=False)
    lost = load.losses(own, first.table) if first.rows is not None else {}
    ask(load.ddl(target))
    outcome = product.load(target, load.key, load.form, [], env, exact=True)
    details = [f"plain INSERT: {first.error[:200] or f'{first.rows.total()} rows'}", *(f"{c}: {told} ({v})" for c, (v, told) in list(lost.items())[:3])]
    if outcome.kind == product.LOADED:
        rows = oracle.rows_of(load, target)
        mine = load.losses(own, target)
        hard = [c for c, (v, _) in mine.items() if v != ROUNDED and not any(names(note, c) for note in outcome.notes)]
        typed = load.form in ("Parquet", "ORC", "Avro", "Arrow")
        if rows == first.rows or rows == second.rows:
            if not hard:
                return EXACT, "", details
            return (UNEXPLAINED, "a value was lost without a word, as a plain INSERT loses it", details) if typed else (LOSSY, "text", details)
        if not hard and (lost or (first.rows is None and second.rows is None)):
            return EXACT, "the plain INSERT fails" if first.rows is None else "the plain INSERT loses values", details
        return UNEXPLAINED, "loaded other values than the plain INSERT", details
    verdict = REFUSED if outcome.kind == product.REFUSED else FAILED
    details.append(f"said: {outcome.message[:300]}")
    if outcome.kind not in (product.REFUSED, product.FAILED):
        return UNEXPLAINED, f"the job is {outcome.kind}", details
    if not lost and first.rows is not None:
        return UNEXPLAINED, f"{verdict}, though nothing is lost: {gist(outcome.message)}", details
    if first.rows is None and second.rows is not None and not load.losses(own, second.table):
        return UNEXPLAINED, f"{verdict}, though an INSERT without a structure loses nothing: {gist(outcome.message)}", details
    wanted = [load.title, load.key.rpartition("/")[2], *(c for c, (v, _) in lost.items() if v == LOST or v), *(c.name for c in load.columns if not lost)]
    if not any(names(outcome.message + outcome.help, word) for word in wanted):
        return UNEXPLAINED, f"{verdict}, and names neither file nor column: {gist(outcome.message)}", details
    return verdict, "a value would be lost" if lost else "the plain INSERT fails too", details


def one_file(path, package, at, mark, env, seed):
    """Yields (kind of table, verdict, reason, details)."""
    form = packages.form_of(path)
    safe = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in path.name)
    database, key = f"{mark}_{at}", f"{mark}/{at}/{safe}"
    ask(f"CREATE DATABASE {database} ENGINE = Atomic")
    try:
        put(key, path.read_bytes())
        try:
            rows = ask(f"DESCRIBE TABLE {s3(key, form)} FORMAT JSONCompactEachRow", describe_include_subcolumns=0, **oracle.SANE)
            own_columns = [Column(row[0], t.parse(row[1])) for row in map(json.loads, rows.splitlines())]
            own = Load(database, key, form, path.name, own_columns, "own")
            truth = own.plain(f"{database}.own", structure=False)
        except Refused as problem:
            truth = oracle.Witness("", error=str(problem))
        except UnicodeDecodeError:
            truth = oracle.Witness("", error="the names of its columns are no text")
        if truth.rows is None:
            yield "own types", UNREADABLE, gist(truth.error), []
            return
        yield "own types", *judge(own, own, f"{database}.target_own", env)
        rng = random.Random(f"{seed}:{package}:{zlib.crc32(path.name.encode())}")
        other = Load(database, key, form, path.name, [Column(c.name, other_type(rng, c.type)) for c in own_columns], "other")
        yield "other types", *judge(other, own, f"{database}.target_other", env)
    finally:
        ask(f"DROP DATABASE {database} SYNC")
        remove(f"{mark}/{at}")


def run(arguments, work, log):
    mark = f"real_{time.time_ns() // 1000 % 10**9}"
    control = f"longshore_{mark}"
    env = product.environment(control)
    code, out, err = product.call(["init"], env)
    if code != 0:
        raise Broken(f"longshore init: {out}{err}")
    sources = [("files", "", arguments.files)] if arguments.files else packages.fetch(work / "packages", arguments.package)
    verdicts, large, at = [], 0, 0
    try:
        for package, version, folder in sources:
            print(f"\n{package} {version}", flush=True)
            for path in sorted(one for one in folder.rglob("*") if one.is_file() and packages.form_of(one)):
                if path.stat().st_size > BYTES_MAX:
                    large += 1
                    continue
                at += 1
                for kind, verdict, reason, details in one_file(path, package, at, mark, env, arguments.seed):
                    verdicts.append((packages.form_of(path), kind, verdict, reason))
                    print(f"  {verdict:24} {kind:12} {path.relative_to(folder)}{f': {reason}' if reason else ''}", flush=True)
                    if verdict == UNEXPLAINED:
                        print(*(f"      {line}" for line in details), sep="\n", flush=True)
                    if log:
                        told = {"package": package, "file": str(path.relative_to(folder)), "kind": kind, "verdict": verdict, "reason": reason, "details": details}
                        log.write(json.dumps(told, ensure_ascii=False) + "\n")
    finally:
        for database in (f"{control}_staging", control):
            ask(f"DROP DATABASE IF EXISTS {database} SYNC")
    return summary(verdicts, at, large)


def summary(verdicts, files, large):
    kinds = [kind for kind in (EXACT, LOSSY, NOTED, REFUSED, FAILED, UNREADABLE, UNEXPLAINED) if any(v[2] == kind for v in verdicts)]
    print(f"\n{files} files, {large} more of over {BYTES_MAX >> 20} MiB left out\n{'':28}" + "".join(f"{kind:>24}" for kind in kinds))
    for row in sorted({(form, kind) for form, kind, _, _ in verdicts}):
        counts = Counter(verdict for form, kind, verdict, _ in verdicts if (form, kind) == row)
        print(f"{row[0]:15} {row[1]:12}" + "".join(f"{counts[kind] or '':>24}" for kind in kinds))
    print("\nwhy:")
    for (verdict, reason), count in Counter((v, r) for _, _, v, r in verdicts if v != EXACT).most_common():
        print(f"  {count:5}  {verdict}: {reason}")
    return 1 if not verdicts or any(v[2] == UNEXPLAINED for v in verdicts) else 0


def main(argv):
    arguments = parse(argv)
    work = Path(tempfile.mkdtemp(prefix="longshore-real-files-"))
    log = open(arguments.log, "w", encoding="utf-8", errors="replace") if arguments.log else None  # noqa: SIM115
    try:
        if not (programs() / "longshore-worker").exists():
            raise Broken("build first: cargo build --release (or LONGSHORE_BIN names a folder with both programs)")
        with bed(arguments.dir or work / "bed", own=not arguments.dir):
            return run(arguments, work, log)
    except Broken as problem:
        print(f"scripts/real-files: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if log:
            log.close()
        shutil.rmtree(work, ignore_errors=True)
