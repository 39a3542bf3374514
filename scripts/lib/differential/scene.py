"""A scene: a table, files for it, and how the files differ. All of it follows from a seed and a number."""

import random
from dataclasses import dataclass, field

from . import types as t
from .formats import EXACT
from .server import literal, name
from .values import encode, text, value

KEY = "row_id"
NEST = "n.*"  # what a list of structs fills: all columns of the Nested
NAMES = ["city", "amount", "flag", "notes", "price", "stamp", "owner", "tags", "level", "device", "Zone", "odd name", "größe", "path2"]
FILES_MAX = 5
ROWS_MAX = 8
COLUMNS_MAX = 7


@dataclass
class Column:
    name: str
    type: t.Type
    kind: str = ""
    expression: str = ""
    nest: str = ""

    @property
    def insertable(self):
        return self.kind in ("", "DEFAULT", "EPHEMERAL")

    def ddl(self):
        return f"{name(self.name)} {self.type.name}{f' {self.kind} {self.expression}' if self.kind else ''}"


@dataclass
class FileColumn:
    name: str
    type: t.Type
    like: t.Type
    target: str = ""  # the column of the target that it fills
    misfit: object = None  # one row of the file gets a value that does not fit


@dataclass
class File:
    """`how`: written by the server, composed by hand, or nothing in it (0 bytes)."""

    key: str
    columns: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    first_id: int = 0
    how: str = "server"
    content: bytes = b""
    ids: list = field(default_factory=list)
    hand_rows: list = field(default_factory=list)  # (row id, {column: what is known of the value})
    compression: str = ""


@dataclass
class Scene:
    number: int
    seed: int
    format: object
    columns: list
    partition: str = ""
    files: list = field(default_factory=list)
    hive: dict = field(default_factory=dict)
    options: list = field(default_factory=list)
    settings: dict = field(default_factory=dict)  # given to Longshore and to the plain INSERT
    variations: list = field(default_factory=list)
    lists: bool = False  # files have a Nested column as a list of structs

    @property
    def nest(self):
        """The Nested column as files may have it: a list of structs."""
        parts = [one for one in self.columns if one.nest]
        return t.array(t.tuple_([one.type.children[0] for one in parts], [one.name.partition(".")[2] for one in parts])) if parts else None

    def named(self, column):
        return next((one for one in self.columns if one.name == column), None)

    @property
    def insertable(self):
        return [one for one in self.columns if one.insertable]

    def ddl(self, table):
        columns = ", ".join(one.ddl() for one in self.columns)
        partition = f" PARTITION BY {self.partition}" if self.partition else ""
        return f"CREATE TABLE {table} ({columns}) ENGINE = MergeTree{partition} ORDER BY tuple()"


def _default(rng, one, columns):
    """DEFAULT as a constant of the type or an expression over columns before it."""
    bare = one.bare
    if bare.family == "string" and rng.random() < 0.5:
        return f"concat('d-', toString({KEY}))"
    if bare.family == "int" and not one.low and rng.random() < 0.5:
        return f"{KEY} % 100"
    numbers = [c for c in columns if c.type.family == "int" and c.kind == "" and not c.type.null]
    if bare.family == "int" and numbers and rng.random() < 0.3:
        return f"{name(rng.choice(numbers).name)} % 100"
    drawn = None
    while drawn is None:
        drawn = value(rng, bare, plain=True)
    return f"CAST({literal(text(drawn, bare))}, {literal(one.name)})"


def _table(rng, form, carries):
    columns = [Column(KEY, t.integer(False, 64))]
    # Avro has rules for names.
    names = [one for one in NAMES if form.name != "Avro" or (one.isascii() and " " not in one)]
    names = rng.sample(names, rng.randint(1, COLUMNS_MAX))
    for title in names:
        one = t.draw(rng)
        while not carries(form, one):
            one = t.draw(rng)
        made = Column(title, one)
        if one.family not in ("array", "map", "tuple") and rng.random() < 0.25:
            made.kind, made.expression = "DEFAULT", _default(rng, one, columns)
        columns.append(made)
    if rng.random() < 0.12 and form.named and form.name != "Avro" and form.types != EXACT:
        first = rng.choice([t.integer(True, 64), t.floating(64)])
        columns += [Column("n.x", t.array(first), nest="n"), Column("n.y", t.array(t.STRING), nest="n")]
    if rng.random() < 0.2:
        columns.append(Column("computed", t.STRING, "MATERIALIZED", f"concat('m-', ifNull(toString({name(columns[-1].name)}), ''))"))
    if rng.random() < 0.15:
        columns.append(Column("shown", t.STRING, "ALIAS", f"concat('a-', ifNull(toString({name(columns[1].name)}), ''))"))
    if rng.random() < 0.1 and form.named:
        columns.append(Column("raw_level", t.integer(False, 32), "EPHEMERAL", "3"))
        columns.append(Column("level2", t.integer(False, 64), "DEFAULT", "raw_level * 2"))
    rng.shuffle(columns)
    if any(one.kind == "EPHEMERAL" for one in columns):
        columns.sort(key=lambda one: one.name == "level2")
    return columns


def _single(rng, form, carries):
    own = form.single if rng.random() < 0.6 else "body"
    one = t.STRING if form.name != "Npy" else rng.choice([t.integer(True, 32), t.floating(64), t.integer(False, 8)])
    columns = [Column(own, one if carries(form, one) else t.STRING)]
    if rng.random() < 0.5:
        columns.append(Column("source", t.STRING, "DEFAULT", "'here'"))
    if rng.random() < 0.5:
        columns.append(Column("length", t.integer(False, 64), "MATERIALIZED", f"length(toString({name(own)}))"))
    return columns


def file_columns(scene):
    """What a file has when nothing varies: the target's columns with the target's types."""
    found = []
    for column in scene.insertable:
        if column.kind == "EPHEMERAL" and not scene.format.named:
            continue
        if column.name == "level2" and scene.named("raw_level") is not None:
            continue
        if scene.format.single and column.kind:
            continue
        if column.name in scene.hive or (column.nest and scene.lists):
            continue
        found.append(FileColumn(column.name, column.type, column.type, column.name))
    if scene.lists:
        found.append(FileColumn("n", scene.nest, scene.nest, NEST))
    return found


def ending(form):
    lowered = form.name.lower()
    for known in ("parquet", "orc", "arrow", "avro", "csv", "tsv", "json"):
        if lowered.startswith(known):
            return known
    return "dat"


def make(seed, number, formats, carries):
    """The scene without its variations."""
    rng = random.Random(f"{seed}:{number}")
    form = rng.choice(formats)
    columns = _single(rng, form, carries) if form.single else _table(rng, form, carries)
    scene = Scene(number, seed, form, columns)
    if not form.single and rng.random() < 0.5:
        scene.partition = f"{KEY} % 3"
    if scene.nest and form.name in ("Parquet", "ORC", "Arrow", "JSONEachRow", "Native", "JSONLines") and rng.random() < 0.6:
        scene.lists = True
        scene.variations.append("Nested from a list of structs")
    count = rng.choice([1, 1, 2, 2, 3, FILES_MAX])
    for at in range(count):
        file = File(f"{chr(97 + at)}{rng.randint(10, 99)}.{ending(form)}", first_id=at * 1000)
        file.columns = file_columns(scene)
        rows = 1 if form.name == "RawBLOB" else rng.randint(1, ROWS_MAX)
        file.ids = [file.first_id + row for row in range(rows)]
        scene.files.append(file)
    if form.name == "Avro" and rng.random() < 0.6:
        scene.settings["input_format_avro_allow_missing_fields"] = 1
        scene.options += ["--settings", "input_format_avro_allow_missing_fields=1"]
    if count > 1 and rng.random() < 0.3:
        scene.options += ["--chunk-files-max", "1"]
        scene.variations.append("a task a file")
    return scene, rng


def fill(rng, scene):
    """Draws the rows of files that the server writes."""
    for file in scene.files:
        if file.how != "server":
            continue
        for identity in file.ids:
            lengths = {}
            row = {}
            for column in file.columns:
                if column.target == KEY:
                    row[column.name] = str(identity)
                    continue
                target = scene.named(column.target)
                drawn = value(rng, column.like, scene.format.plain or bool(scene.format.single))
                if target is not None and target.nest:
                    length = lengths.setdefault(target.nest, rng.randint(0, 3))
                    drawn = [value(rng, column.like.children[0]) for _ in range(length)]
                row[column.name] = encode(drawn, column.like, column.type)
            file.rows.append(row)
        for column in file.columns:
            if column.misfit is not None and file.rows:
                rng.choice(file.rows)[column.name] = encode(column.misfit, column.type, column.type)
