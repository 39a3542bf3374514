"""Puts a scene's files into the bucket, and keeps what they hold as tables of the files' own types."""

import gzip
import json

from .server import ask, name, put, s3

LOOSE_TIMES = {"date_time_input_format": "best_effort", "input_format_json_named_tuples_as_objects": 1}


def structure(columns):
    return ", ".join(f"{name(one.name)} {one.type.name}" for one in columns)


def write(scene, database, prefix):
    for at, file in enumerate(scene.files):
        key = f"{prefix}/{file.key}"
        if file.how == "empty":
            put(key, b"")
        elif file.how == "hand":
            put(key, file.content)
        else:
            _written_by_the_server(scene, file, f"{database}.truth{at}", key)


def _written_by_the_server(scene, file, truth, key):
    ask(f"CREATE TABLE {truth} ({structure(file.columns)}) ENGINE = Memory")
    if file.rows:
        listed = ", ".join(name(one.name) for one in file.columns)
        body = "\n".join(json.dumps([row[one.name] for one in file.columns], ensure_ascii=False) for row in file.rows)
        ask(f"INSERT INTO {truth} ({listed}) FORMAT JSONCompactEachRow", body=body.encode("utf-8", "surrogateescape"), **LOOSE_TIMES)
    if file.how == "no rows" or file.compression == "gz":
        # The server's INSERT writes no file at all for no rows.
        content = ask(f"SELECT * FROM {truth} FORMAT {scene.format.name}")
        put(key, gzip.compress(content, mtime=0) if file.compression == "gz" else content)
        return
    ask(f"INSERT INTO FUNCTION {s3(key, scene.format.name, structure(file.columns))} SELECT * FROM {truth}")


def commands(scene, database, prefix):
    """The scene as statements, for a person who repeats it by hand."""
    lines = [f"CREATE DATABASE {database} ENGINE = Atomic;", f"{scene.ddl(f'{database}.target')};"]
    for file in scene.files:
        key = f"{prefix}/{file.key}"
        if file.how in ("empty", "hand"):
            shown = file.content if len(file.content) < 2000 else file.content[:1000] + b" ... " + file.content[-500:]
            lines.append(f"-- {key}: {len(file.content)} bytes: {shown!r}")
            continue
        lines.append(f"-- {key} ({file.how}): {structure(file.columns)}")
        for row in file.rows:
            lines.append(f"--   {json.dumps(row, ensure_ascii=False)}")
    return lines


