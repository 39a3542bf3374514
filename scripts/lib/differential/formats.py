"""Formats that the server both reads and writes, and what their files know of names and types."""

import itertools
from dataclasses import dataclass

from .server import Broken, Refused, ask, remove, s3

# What a file says of its columns' types.
OWN = "own types"          # the file stores them: Parquet, Avro, …
HEADER = "types in text"   # names of types in the file's head
EXACT = "bytes of a type"  # bytes without types: they must be read by the types they were written by
LOOSE = "text"             # text, or values that describe themselves one by one


@dataclass(frozen=True)
class Format:
    name: str
    types: str
    named: bool = True
    hand: str = ""    # the family in which files can be composed by hand
    single: str = ""  # the only column's name, in formats that have just one
    plain: bool = False  # nothing is escaped: only words without separators


def _text(names, types=LOOSE, named=True, hand="", plain=False):
    return [Format(name, types, named, hand, plain=plain) for name in names.split()]


FORMATS = {one.name: one for one in [
    *[Format(name, OWN) for name in ["Parquet", "ORC", "Arrow", "ArrowStream", "Avro", "Native", "RowBinaryWithNamesAndTypes"]],
    Format("BSONEachRow", OWN), Format("MsgPack", LOOSE, named=False),
    Format("RowBinary", EXACT, named=False), Format("RowBinaryWithNames", EXACT), Format("Buffers", EXACT, named=False),
    *_text("CSV", named=False, hand="csv"), *_text("CSVWithNames", hand="csv names"), *_text("CSVWithNamesAndTypes", HEADER),
    *_text("TSV TabSeparated CustomSeparated", named=False, hand="tsv"), *_text("TSVWithNames TabSeparatedWithNames CustomSeparatedWithNames", hand="tsv names"),
    *_text("TSVWithNamesAndTypes TabSeparatedWithNamesAndTypes CustomSeparatedWithNamesAndTypes", HEADER),
    *_text("TSVRaw Raw TabSeparatedRaw", named=False, plain=True), *_text("TSVRawWithNames RawWithNames TabSeparatedRawWithNames", plain=True),
    *_text("TSVRawWithNamesAndTypes RawWithNamesAndTypes TabSeparatedRawWithNamesAndTypes", HEADER, plain=True),
    *_text("JSONEachRow JSONLines JSONL NDJSON", hand="json"), *_text("JSONStringsEachRow JSONObjectEachRow JSONColumns TSKV"),
    *_text("JSON JSONCompact JSONColumnsWithMetadata", HEADER),
    *_text("JSONCompactEachRow", named=False, hand="json array"), *_text("JSONCompactStringsEachRow JSONCompactColumns Values", named=False),
    *_text("JSONCompactEachRowWithNames JSONCompactStringsEachRowWithNames"),
    *_text("JSONCompactEachRowWithNamesAndTypes JSONCompactStringsEachRowWithNamesAndTypes", HEADER),
    Format("LineAsString", LOOSE, single="line"), Format("RawBLOB", LOOSE, single="raw_blob"), Format("Npy", OWN, single="array"),
]}
SKIPPED = {
    "AvroConfluent": "needs a schema registry", "Protobuf": "needs a schema file", "ProtobufList": "needs a schema file",
    "ProtobufSingle": "needs a schema file", "Template": "needs a template file", "CapnProto": "needs a schema file",
    "GeoJSON": "has columns of its own only",
}
# How often each is drawn, where it is not once.
WEIGHTS = {"Parquet": 8, "ORC": 4, "Arrow": 3, "ArrowStream": 2, "Avro": 4, "Native": 3, "CSVWithNames": 6, "CSV": 3, "JSONEachRow": 8, "TSVWithNames": 3}


def available():
    """The formats to draw from, weighted, and those of the server that are skipped, each with its reason."""
    names = ask("SELECT name FROM system.formats WHERE is_input AND is_output ORDER BY name FORMAT TabSeparatedRaw").decode().split()
    used = [FORMATS[name] for name in names if name in FORMATS for _ in range(WEIGHTS.get(name, 1))]
    skipped = {name: SKIPPED.get(name, "this script has no rule for it") for name in names if name not in FORMATS}
    if not used:
        raise Broken("the server reads and writes none of the formats of this script")
    return used, skipped


class Probe:
    """Which types a format can write and read again at all. Asked once for each pair."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.known = {}
        self.keys = itertools.count()  # two lanes ask at the same time

    def carries(self, form, one):
        pair = (form.name, one.name)
        if pair not in self.known:
            self.known[pair] = self._try(form, one)
        return self.known[pair]

    def _try(self, form, one):
        key = f"{self.prefix}/probe-{next(self.keys)}"
        structure = f"{form.single or 'x'} {one.name}"
        column = form.single or "x"
        try:
            ask(f"INSERT INTO FUNCTION {s3(key, form.name, structure)} SELECT defaultValueOfTypeName({_quoted(one.name)}) AS {column}")
            ask(f"SELECT {column} FROM {s3(key, form.name, structure)} FORMAT Null")
        except Refused:
            return False
        return True

    def forget(self):
        remove(self.prefix)


def _quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
