"""Files of text as people and other programs write them, composed here and not by the server.

What is known of a value is kept beside it: the value itself, that it is absent (then the DEFAULT counts),
that it does not fit, that a part of it does not, or nothing (then the plain INSERT alone says what it is).
"""

import json

from . import types as t
from .values import encode, text, value

LATE_ROWS = 25_200  # the server looks at 25,000 rows to find the keys
KNOWN, ABSENT, WRONG, LOSSY, UNKNOWN = "known", "absent", "wrong", "lossy", "unknown"
_FREE = ("string", "fixed", "enum", "uuid", "ipv4", "ipv6")


def _cell(rng, column, special):
    """A drawn value, or what stands in its place: (what is known, value or text)."""
    one = column.like
    kind = one.family
    if special == "absent":
        return ABSENT, None
    if special == "null":
        return ABSENT, "null"
    if special == "wrong" and kind in ("int", "float", "decimal", "date", "date32", "time", "time64", "uuid", "ipv4", "ipv6", "enum"):
        return WRONG, rng.choice(["meow", "12x", "2023-13-45"])
    if special == "over" and kind == "int":
        return WRONG, str(one.high_bound + rng.choice([1, 44]))
    if special == "spelling":
        if kind == "int":
            return UNKNOWN, rng.choice(["1e1", "+5", "1.0", "007"])
        if kind in ("time", "time64"):
            drawn = rng.choice(["2024-01-05T10:11:12Z", "2024-01-05", "1700000000", "2024-01-05 10:11:12.5"])
            return (LOSSY if drawn.endswith(".5") and one.scale == 0 else UNKNOWN), drawn
        if kind == "bool":
            return UNKNOWN, rng.choice(["1", "yes", "True", "t"])
    drawn = value(rng, one)
    return (ABSENT, "null") if drawn is None else (KNOWN, drawn)


def _rows(rng, scene, file, specials):
    """Cells of a file: mostly plain ones, and of the special kinds a few."""
    flat = [c for c in file.columns if c.type.family not in ("array", "map", "tuple")]
    file.columns = flat
    special = rng.choice(specials)
    rows = []
    for identity in file.ids:
        cells = {}
        for column in flat:
            if column.target == "row_id":
                cells[column.name] = (KNOWN, identity)
            else:
                cells[column.name] = _cell(rng, column, special if rng.random() < 0.3 else "")
        rows.append((identity, cells))
    return special, rows


def _finish(file, content, rows):
    file.how, file.content, file.hand_rows = "hand", content, rows


def _json(rng, scene, file):
    if not file.ids:
        return False
    array = scene.format.hand == "json array"
    specials = ["absent", "null", "wrong", "over", "spelling", "quoted", "surplus"] if not array else ["null", "wrong", "over", "spelling", "quoted"]
    late = not array and rng.random() < 0.03
    special, rows = _rows(rng, scene, file, ["late"] if late else specials)
    lines = []
    late_column = rng.choice([c for c in file.columns if c.target != "row_id"] or [None])
    if late and late_column is not None:
        first = rows[0][1]
        base = file.first_id + 100_000
        for at in range(LATE_ROWS):
            cells = {name: cell for name, cell in first.items() if name != late_column.name}
            cells[late_column.name] = (ABSENT, None)
            rows.insert(at, (base + at, {**cells, "row_id": (KNOWN, base + at)}))
    for _, cells in rows:
        row = {}
        for column in file.columns:
            known, drawn = cells[column.name]
            if known == ABSENT and drawn is None and not array:
                continue
            row[column.name] = None if known == ABSENT else drawn if known != KNOWN else _number(encode(drawn, column.like, column.like), column, special)
        if special == "surplus" and (not lines or rng.random() < 0.5):
            row["surplus"] = "kept?"
        lines.append(json.dumps(list(row.values()) if array else row, ensure_ascii=False))
    if special == "surplus":
        from .scene import FileColumn

        file.columns.append(FileColumn("surplus", t.STRING, t.STRING))
    _finish(file, ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"), rows)
    return f"by hand: json {special}"


def _number(encoded, column, special):
    """Numbers are written as numbers, in files of `quoted` as text."""
    if column.like.family == "int" and isinstance(encoded, str) and special != "quoted":
        return int(encoded)
    if column.like.family in ("time", "time64"):
        return encoded.replace("T", " ").rstrip("Z") if column.like.zone == "UTC" else text_of_zone(encoded, column)
    return encoded


def text_of_zone(encoded, column):
    """`encode` writes UTC with a Z; a plain reader takes text for the column's own zone."""
    from fractions import Fraction

    from .compare import parsed

    utc = t.datetime64(column.like.scale, "UTC")
    seconds = parsed(encoded.rstrip("Z"), utc)
    return text(seconds if seconds is not None else Fraction(0), column.like)


def _delimited(separator, quote):
    def make(rng, scene, file):
        if not file.ids:
            return False
        named = scene.format.hand.endswith("names")
        special, rows = _rows(rng, scene, file, ["absent", "null", "wrong", "over", "spelling", "crlf"])
        lines = [separator.join(quote(c.name) for c in file.columns)] if named else []
        for _, cells in rows:
            fields = []
            for column in file.columns:
                known, drawn = cells[column.name]
                if known == ABSENT:
                    fields.append("" if drawn is None else "\\N")
                elif known == KNOWN:
                    fields.append(quote(text(drawn, column.like)) if column.like.family in _FREE else text(drawn, column.like))
                else:
                    fields.append(drawn)
            lines.append(separator.join(fields))
        end = "\r\n" if special == "crlf" and separator == "," else "\n"
        _finish(file, (end.join(lines) + end).encode(), rows)
        return f"by hand: {special}"

    return make


def _csv_quote(word):
    return '"' + word.replace('"', '""') + '"'


def _tsv_quote(word):
    return word.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


HANDS = {"json": _json, "csv": _delimited(",", _csv_quote), "tsv": _delimited("\t", _tsv_quote)}
