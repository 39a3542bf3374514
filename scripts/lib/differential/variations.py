"""How the files of a scene differ from its table and from each other."""

import datetime
from dataclasses import replace

from . import types as t
from .formats import EXACT, LOOSE
from .hand import HANDS
from .relatives import TEXT, WIDER, misfit_value, relatives
from .scene import KEY, NEST, Column, File, FileColumn


def vary(rng, scene, carries):
    """Applies up to three variations; each says in one word what it did, or nothing where it does not fit."""
    wanted = rng.choices([0, 1, 2, 3], [3, 6, 4, 2])[0]
    names, weights = zip(*VARIATIONS.items())
    for _ in range(wanted * 3):
        if wanted == 0:
            return
        kind = rng.choices(names, weights)[0]
        if scene.format.single and kind not in ("empty", "marker", "gz", "zst", "no rows"):
            continue
        done = _DO[kind](rng, scene, carries)
        if done:
            scene.variations.append(done if isinstance(done, str) else kind)
            wanted -= 1


def _data(file):
    """Columns of a file that may be changed: not the key, and nothing that was changed already."""
    return [c for c in file.columns if c.target not in ("", KEY, NEST) and c.type is c.like and c.misfit is None]


def _pick(rng, scene, allowed=lambda _: True):
    files = [f for f in scene.files if f.how == "server" and any(allowed(c) for c in _data(f))]
    if not files:
        return None, None
    file = rng.choice(files)
    return file, rng.choice([c for c in _data(file) if allowed(c)])


def _same_in(rng, scene, column):
    """The columns to change: in one file, or in half of the scenes in all files."""
    if rng.random() < 0.5:
        return [column]
    return [c for f in scene.files if f.how == "server" for c in _data(f) if c.target == column.target] or [column]


def _ungrouped(scene):
    return lambda column: not scene.named(column.target).nest


def _missing(rng, scene, _):
    if not scene.format.named:
        return False
    file, column = _pick(rng, scene, _ungrouped(scene))
    if file is None:
        return False
    file.columns.remove(column)
    return True


def _nowhere(rng, scene, _):
    """A column that no file has."""
    file, column = _pick(rng, scene, _ungrouped(scene))
    if file is None or not scene.format.named or any(one.how == "hand" for one in scene.files):
        return False
    for one in scene.files:
        one.columns = [c for c in one.columns if c.target != column.target]
    return True


def _extra(rng, scene, carries):
    if not scene.format.named:
        return False
    one = t.draw(rng)
    files = [f for f in scene.files if f.how == "server"]
    if not carries(scene.format, one) or not files:
        return False
    extra = FileColumn(rng.choice(["surplus", "Extra col" if scene.format.name != "Avro" else "Extra_col", "_note"]), one, one)
    for file in [rng.choice(files)] if rng.random() < 0.7 else files:
        if not any(c.name == extra.name for c in file.columns):
            file.columns.insert(rng.randint(0, len(file.columns)), replace(extra))
    return True


def _reordered(rng, scene, _):
    files = [f for f in scene.files if f.how == "server" and len(f.columns) > 1]
    if not scene.format.named or not files:
        return False
    rng.shuffle(rng.choice(files).columns)
    return True


def _case(rng, scene, _):
    file, column = _pick(rng, scene, _ungrouped(scene))
    if file is None or not scene.format.named:
        return False
    for one in _same_in(rng, scene, column):
        one.name = one.name.upper() if one.name.upper() != one.name else one.name.lower()
    return True


def _apply(rng, scene, carries, want_misfit, kinds):
    if scene.format.types in (EXACT, LOOSE) and kinds != (TEXT,):
        return False
    if scene.format.types == EXACT:
        return False
    file, column = _pick(rng, scene, _ungrouped(scene))
    if file is None:
        return False
    target = scene.named(column.target).type
    possible = [r for r in relatives(target) if r.kind in kinds and carries(scene.format, r.file)]
    if want_misfit:
        possible = [r for r in possible if r.has_misfit]
    if not possible:
        return False
    relative = rng.choice(possible)
    wrapped = t.nullable(relative.file) if rng.random() < 0.3 and carries(scene.format, t.nullable(relative.file)) else relative.file
    for one in _same_in(rng, scene, column):
        one.type, one.like = wrapped, relative.like
    if want_misfit:
        column.type, column.like = wrapped, relative.like
        column.misfit = misfit_value(rng, relative)
    return True


def _narrower(rng, scene, carries):
    return _apply(rng, scene, carries, False, ("narrower",))


def _wider(rng, scene, carries):
    return _apply(rng, scene, carries, False, (WIDER,))


def _too_wide(rng, scene, carries):
    return _apply(rng, scene, carries, True, (WIDER,))


def _text(rng, scene, carries):
    return _apply(rng, scene, carries, False, (TEXT,))


def _bad_text(rng, scene, carries):
    return _apply(rng, scene, carries, True, (TEXT,))


def _nullable(rng, scene, carries):
    return _wrap(rng, scene, carries, t.nullable, with_nulls=False)


def _nulls(rng, scene, carries):
    return _wrap(rng, scene, carries, t.nullable, with_nulls=True)


def _low(rng, scene, carries):
    return _wrap(rng, scene, carries, lambda one: t.low(one) if one.bare.family in ("string", "fixed") else one, with_nulls=False)


def _wrap(rng, scene, carries, wrap, with_nulls):
    if scene.format.types == EXACT:
        return False
    file, column = _pick(rng, scene, lambda c: wrap(c.type).name != c.type.name)
    if file is None or not carries(scene.format, wrap(column.type)):
        return False
    for one in _same_in(rng, scene, column):
        like = one.like
        one.type = wrap(one.type)
        one.like = one.type if with_nulls else replace(like)
    return True


def _empty(rng, scene, _):
    return _add(rng, scene, File(f"{rng.choice('0z')}{rng.randint(10, 99)}-empty", how="empty"))


def _marker(rng, scene, _):
    return _add(rng, scene, File(rng.choice(["_SUCCESS", "_started_7"]), how="empty"))


def _add(rng, scene, file):
    if any(one.key == file.key for one in scene.files):
        return False
    scene.files.insert(rng.randint(0, len(scene.files)), file)
    return True


def _no_rows(rng, scene, _):
    files = [f for f in scene.files if f.how == "server" and f.ids]
    if len(files) < 2:
        return False
    file = rng.choice(files)
    file.how, file.ids = "no rows", []
    return True


def _gz(rng, scene, _):
    return _compressed(rng, scene, "gz")


def _zst(rng, scene, _):
    return _compressed(rng, scene, "zst")


def _compressed(rng, scene, how):
    files = [f for f in scene.files if f.how == "server" and not f.compression]
    if not files:
        return False
    file = rng.choice(files)
    file.compression, file.key = how, f"{file.key}.{how}"
    return True


def _hive(rng, scene, _):
    if scene.hive or not scene.format.named or scene.named("dt"):
        return False
    one = rng.choice([t.DATE, t.STRING, t.low(t.STRING)])
    scene.columns.append(Column("dt", one))
    scene.hive["dt"] = one
    for at, file in enumerate(scene.files):
        file.key = f"dt={datetime.date(2024, 1, 1 + at // 2).isoformat()}/{file.key}"
    return True


def _hand(rng, scene, _):
    """A file of text that people wrote: empty fields, missing keys, other spellings, mistakes."""
    if not scene.format.hand:
        return False
    files = [f for f in scene.files if f.how == "server" and not f.compression]
    if not files or (any(c.type.family in ("array", "map", "tuple") for c in files[0].columns) and not scene.format.named):
        return False
    return HANDS[scene.format.hand.split()[0]](rng, scene, rng.choice(files))


VARIATIONS = {
    "missing": 6, "in no file": 2, "surplus": 3, "reordered": 3, "case": 2, "narrower": 5, "wider": 5, "too wide": 6, "text": 3, "bad text": 3,
    "nullable": 4, "nulls": 4, "low": 2, "empty": 3, "marker": 2, "no rows": 3, "gz": 2, "zst": 2, "hive": 2, "by hand": 14,
}
_DO = {
    "missing": _missing, "in no file": _nowhere, "surplus": _extra, "reordered": _reordered, "case": _case, "narrower": _narrower,
    "wider": _wider, "too wide": _too_wide, "text": _text, "bad text": _bad_text, "nullable": _nullable, "nulls": _nulls, "low": _low,
    "empty": _empty, "marker": _marker, "no rows": _no_rows, "gz": _gz, "zst": _zst, "hive": _hive, "by hand": _hand,
}
