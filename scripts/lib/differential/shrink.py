"""Makes a scene smaller while its verdict stays the same."""

import copy

from .scene import KEY

TRIES_MAX = 80


def shrink(scene, found, outcome, same):
    """`same` judges a smaller scene and returns what it found, or None where that is something else."""
    tries = 0
    changed = True
    while changed:
        changed = False
        for smaller in _smaller(scene):
            tries += 1
            if tries > TRIES_MAX:
                return scene, found, outcome
            judged = same(smaller)
            if judged is not None:
                scene, (found, outcome), changed = smaller, judged, True
                break
    return scene, found, outcome


def _smaller(scene):
    """Scenes with one thing less, the greatest things first."""
    if len(scene.files) > 1:
        for at in range(len(scene.files)):
            one = copy.deepcopy(scene)
            del one.files[at]
            yield one
    for column in scene.columns:
        if column.name == KEY or column.nest or (scene.format.single and column.kind == "") or len(scene.columns) < 2:
            continue
        if any(column.name in other.expression for other in scene.columns if other is not column):
            continue
        if any(file.how == "hand" and any(c.target == column.name for c in file.columns) for file in scene.files):
            continue
        one = copy.deepcopy(scene)
        one.columns = [c for c in one.columns if c.name != column.name]
        for file in one.files:
            file.columns = [c for c in file.columns if c.target != column.name]
        yield one
    for at, file in enumerate(scene.files):
        for part in _parts(len(file.rows)):
            one = copy.deepcopy(scene)
            one.files[at].rows, one.files[at].ids = file.rows[part], file.ids[part]
            yield one
    if scene.partition or scene.options:
        one = copy.deepcopy(scene)
        one.partition, one.options = "", []
        yield one


def _parts(rows):
    """Halves, then all but one."""
    if rows > 2:
        yield slice(0, rows // 2)
        yield slice(rows // 2, rows)
    elif rows == 2:
        yield slice(0, 1)
        yield slice(1, 2)
