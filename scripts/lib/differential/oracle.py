"""What a plain INSERT … SELECT of the same files makes of them: the witnesses of a scene.

The first is given the target's columns, types and DEFAULTs; the second leaves names and types to the
server; the third never reads a file: it inserts the tables that the files were written from.
"""

import json
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from .compare import CANONICAL, LOST, NULLED, SAME, canonical, compare
from .formats import HEADER, LOOSE, OWN
from .hand import ABSENT, KNOWN, LOSSY, WRONG
from .scene import KEY
from .server import Refused, ask, literal, name, s3
from .types import parse

SANE = {
    "schema_inference_use_cache_for_s3": 0, "input_format_parquet_allow_missing_columns": 1, "input_format_orc_allow_missing_columns": 1,
    "input_format_arrow_allow_missing_columns": 1, "s3_skip_empty_files": 1,
}
# The text is read by the types that it is given; those in the head of the file do not have to be the same.
TYPES_OF_HEADER_OFF = {"input_format_with_types_use_header": 0, "input_format_json_validate_types_from_metadata": 0}


@dataclass
class Witness:
    """Rows of a table as text, or the error of the statement that was to fill it."""

    table: str
    rows: Counter | None = None
    error: str = ""
    lenient: bool = False  # by settings that a user would have to know


@dataclass(frozen=True)
class Loss:
    file: str
    column: str
    row: object
    verdict: str
    told: str

    def __str__(self):
        return f"{self.file}, {self.column}, row {self.row}: {self.told} ({self.verdict})"


def columns_of_files(scene):
    """Target columns that at least one file has, in the order in which formats without names have them."""
    have = [c.name for f in scene.files for c in f.columns] + list(scene.hive)
    found = [one for one in scene.insertable if one.name in have or (one.nest and scene.lists)]
    if not scene.format.named:
        first = next((f.columns for f in scene.files if f.columns), [])
        found = [scene.named(c.target) for c in first]
    return found


def structure(scene, columns):
    """With the DEFAULTs, and with the columns that those are made of."""
    used = list(columns)
    for one in columns:
        if one.kind == "DEFAULT":
            used += [c for c in scene.insertable if c not in used and c.name in one.expression and scene.format.named]
    parts = [f"n {scene.nest.name}"] if scene.lists else []
    for one in used:
        if one.nest and scene.lists:
            continue
        default = f" DEFAULT {one.expression}" if one.kind in ("DEFAULT", "EPHEMERAL") else ""
        title = one.name if not scene.format.single else scene.format.single
        parts.append(f"{name(title)} {one.type.name}{default}")
    return ", ".join(parts), used


def rows_of(scene, table):
    listed = ", ".join(name(one.name) for one in scene.columns if one.kind != "EPHEMERAL")
    answer = ask(f"SELECT {listed} FROM {table} FORMAT JSONCompactStringsEachRow", output_format_json_validate_utf8=0)
    return Counter(answer.split(b"\n")[:-1])


def given_types(scene, database, prefix):
    """The oracle."""
    columns = columns_of_files(scene)
    told, used = structure(scene, columns)
    source = s3(f"{prefix}/**", scene.format.name, told)
    titles = ", ".join(name(one.name) for one in used)
    read = titles if not scene.format.single else name(scene.format.single)
    statement = f"INSERT INTO {database}.oracle ({titles}) SELECT {read} FROM {source}"
    found = _witness(scene, f"{database}.oracle", [statement])
    if found.rows is None and scene.format.types == HEADER:
        ask(f"DROP TABLE {database}.oracle SYNC")
        again = _witness(scene, f"{database}.oracle", [statement], TYPES_OF_HEADER_OFF)
        if again.rows is not None:
            return Witness(again.table, again.rows, found.error, lenient=True)
    return found


def own_choice(scene, database, prefix):
    """What the server makes of the files on its own."""
    if not scene.format.named or scene.format.single:
        return Witness(f"{database}.inferred", error="the format has no names")
    titles = ", ".join(name(one.name) for one in columns_of_files(scene))
    source = s3(f"{prefix}/**", scene.format.name)
    return _witness(scene, f"{database}.inferred", [f"INSERT INTO {database}.inferred ({titles}) SELECT {titles} FROM {source}"])


def from_truth(scene, database):
    """What the tables that the files were written from would give, file by file."""
    if any(file.how == "hand" for file in scene.files) or scene.format.single:
        return Witness(f"{database}.expected", error="not all files were written by the server")
    statements = []
    for at, file in enumerate(scene.files):
        if file.how != "server":
            continue
        # A name in another case counts: who takes it for the column loses nothing.
        filled = [c for c in file.columns if c.target and scene.named(c.target) is not None]
        titles, values = [name(c.target) for c in filled], [name(c.name) for c in filled]
        if scene.lists:
            nested = [one.name for one in scene.columns if one.nest]
            titles += map(name, nested)
            values += nested
        for column in scene.hive:
            titles.append(name(column))
            values.append(literal(file.key.partition("=")[2].partition("/")[0]))
        statements.append(f"INSERT INTO {database}.expected ({', '.join(titles)}) SELECT {', '.join(values)} FROM {database}.truth{at}")
    return _witness(scene, f"{database}.expected", statements)


def _witness(scene, table, statements, settings=None):
    ask(scene.ddl(table))
    try:
        for statement in statements:
            ask(statement, **SANE, **scene.settings, **(settings or {}))
        # What was inserted may not be readable: the server makes an Enum of 0 that has no such member.
        return Witness(table, rows_of(scene, table))
    except Refused as problem:
        return Witness(table, error=str(problem))


def values_of(scene, table):
    """Row id → {column: canonical value}."""
    columns = [one for one in scene.insertable if one.kind != "EPHEMERAL"]
    answer = ask(f"SELECT {', '.join(name(one.name) for one in columns)} FROM {table} FORMAT JSONCompactEachRow", **CANONICAL)
    found = {}
    for line in answer.splitlines():
        row = {c.name: canonical(v, c.type) for c, v in zip(columns, _parse(line))}
        found.setdefault(row.get(KEY), []).append(row)
    return found


def _parse(line):
    return json.loads(line.decode("utf-8", "surrogateescape"), parse_float=str)


def truth_of(scene, database):
    """(file, row id, file column, canonical value) of everything whose value is known."""
    for at, file in enumerate(scene.files):
        if file.how == "server":
            listed = ", ".join(name(c.name) for c in file.columns)
            answer = ask(f"SELECT {listed} FROM {database}.truth{at} FORMAT JSONCompactEachRow", **CANONICAL)
            yield from _cells(file, answer)
        elif file.how == "hand":
            for identity, cells in file.hand_rows:
                for column in file.columns:
                    known, drawn = cells.get(column.name, (ABSENT, None))
                    if known in (KNOWN, WRONG, LOSSY):
                        yield file, identity, column, (known, drawn)


def _cells(file, answer):
    """Rows of a file as the server's JSON."""
    for line in answer.splitlines():
        row = dict(zip([c.name for c in file.columns], _parse(line)))
        identity = int(next(row[c.name] for c in file.columns if c.target == KEY))
        for column in file.columns:
            yield file, identity, column, canonical(row[column.name], column.type)


def losses(scene, database, prefix, table):
    """Values of the files that are not in the table as they were."""
    if scene.format.single:
        return []
    rows = values_of(scene, table)
    found, stored = [], {}
    for file, identity, column, value in truth_of(scene, database):
        row = (rows.get(identity) or [None])[0]
        target = scene.named(column.target)
        if row is None:
            found.append(Loss(file.key, KEY, identity, LOST, "the row is not there"))
            continue
        if target is None or target.kind == "EPHEMERAL":
            continue
        if file.how == "hand":
            verdict, told = _of_hand(value, column, row[target.name], target)
        else:
            verdict = compare(value, column.type, row[target.name], target.type)
            told = f"{_show(value)} of {column.type.name} became {_show(row[target.name])} of {target.type.name}"
        if _is_absence(scene.format, value) and (row[target.name] in (None, "") or target.kind == "DEFAULT"):
            verdict = SAME
        if verdict == NULLED and (target.kind == "DEFAULT" or scene.format.types in (LOOSE, HEADER)):
            verdict = SAME
        if verdict != SAME and file.how != "hand":
            # The rows of a file are in the order of their ids.
            kept, one = _stored(scene, prefix, file, stored).get((file.ids.index(identity), column.name), (None, None))
            if one is not None and compare(kept, one, row[target.name], target.type) == SAME:
                verdict = SAME
        if verdict != SAME:
            found.append(Loss(file.key, column.name, identity, verdict, told))
    return found


def _is_absence(form, value):
    """Text cannot tell the word from the absence; JSON whose values all are strings has two words for it."""
    words = ("NULL", "null") if "Strings" in form.name else ("NULL",)
    return form.types in (LOOSE, HEADER) and value in words


def stored_losses(scene, prefix, table):
    """Values as the files store them that are other ones in the table: a UInt8 of 255 is an Int8 of -1 in ORC.

    The plain INSERT may have given back what the writer meant; nobody can know that from the file alone.
    """
    rows = values_of(scene, table)
    found, known = [], {}
    for file in scene.files:
        if file.how != "server" or scene.format.types != OWN or scene.format.single:
            continue
        for (at, title), (value, one) in _stored(scene, prefix, file, known).items():
            target = scene.named(title)
            row = (rows.get(file.ids[at]) or [None])[0]
            if target is None or not target.insertable or row is None or one.family == "other":
                continue
            written = next((c.type for c in file.columns if c.name == title), None)
            if written is not None and _as_bytes(written, one):
                continue  # only the reader of the format knows what they stand for
            if target.kind == "EPHEMERAL":
                # It is in no table; its type alone tells that something may not fit.
                if one.bare.name != target.type.bare.name:
                    found.append(Loss(file.key, title, file.ids[at], LOST, f"{_show(value)} of {one.name} for {target.type.name}"))
                continue
            verdict = compare(value, one, row[target.name], target.type)
            if verdict == LOST or (verdict == NULLED and target.kind != "DEFAULT"):
                found.append(Loss(file.key, title, file.ids[at], verdict, f"{_show(value)} of {one.name} became {_show(row[target.name])}"))
    return found


def _as_bytes(written, stored):
    """Does a format hold something as text that was none: UUIDs, addresses and large numbers are bytes there?"""
    if len(written.children) == len(stored.children) and written.children:
        return any(_as_bytes(a, b) for a, b in zip(written.children, stored.children))
    return stored.family in ("string", "fixed") and written.family not in ("string", "fixed", "enum")


def _of_hand(cell, column, value, target):
    known, drawn = cell
    if known in (WRONG, LOSSY):
        return LOST, f"the text {drawn} became {_show(value)} of {target.type.name}"
    if isinstance(drawn, int) and column.target == KEY:
        return SAME, ""
    wanted = canonical(_raw(drawn), column.like.bare)
    return compare(wanted, column.like.bare, value, target.type), f"{_show(wanted)} became {_show(value)}"


def _raw(drawn):
    import datetime
    from decimal import Decimal

    if isinstance(drawn, datetime.date):
        return drawn.isoformat()
    return str(drawn) if isinstance(drawn, Decimal) else drawn


def _show(value):
    """A value for people: numbers as numbers, and not as fractions."""
    if isinstance(value, Fraction):
        return str(value.numerator if value.denominator == 1 else float(value))
    if isinstance(value, list):
        return f"[{', '.join(map(_show, value))}]"[:80]
    return str(value)[:80]


def _stored(scene, prefix, file, known):
    """The file in the types that it has itself: (row, column) → (value, type). A format may have stored other ones."""
    if file.key not in known:
        known[file.key] = {}
        source = s3(f"{prefix}/{file.key}", scene.format.name)
        try:
            described = ask(f"DESCRIBE TABLE {source} FORMAT JSONCompactEachRow", describe_include_subcolumns=0, **SANE)
            columns = [(row[0], parse(row[1])) for row in map(_parse, described.splitlines()) if row[0] not in scene.hive]
            listed = ", ".join(name(title) for title, _ in columns)
            answer = ask(f"SELECT {listed} FROM {source} FORMAT JSONCompactEachRow", **CANONICAL, **SANE)
        except Refused:
            return known[file.key]
        for at, line in enumerate(answer.splitlines()):
            for (title, one), value in zip(columns, _parse(line)):
                known[file.key][at, title] = (canonical(value, one), one)
    return known[file.key]
