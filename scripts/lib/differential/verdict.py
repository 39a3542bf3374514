"""Judges one scene: what Longshore did with the files beside what the witnesses did."""

import re
from dataclasses import dataclass, field

from . import oracle, product
from .compare import LOST, ROUNDED
from .hand import LOSSY, WRONG
from .scene import NEST
from .server import Refused, ask

EQUAL, REFUSED, FAILED, NOTED, LIKE_INSERT, BETTER, UNEXPLAINED = (
    "equal", "refused", "failed", "noted", "equal, and lossy as the plain INSERT", "better than the plain INSERT", "UNEXPLAINED",
)
DEAD = "the server died"
LEFT_OUT_MAX = 12
ORDER = [EQUAL, LIKE_INSERT, BETTER, NOTED, REFUSED, FAILED, DEAD, UNEXPLAINED]
# The column of a value that does not fit.
BLAMED = re.compile(r"^(?:file .*?: )?value .* of column `?(.+?)`? \(.*\) does not fit", re.DOTALL)


@dataclass
class Verdict:
    verdict: str
    reason: str = ""
    details: list = field(default_factory=list)
    way_on: str = ""


def surplus_columns(scene):
    """Columns of files that the target cannot take, by their names."""
    if scene.format.single:
        return [scene.format.single] if scene.named(scene.format.single) is None else []
    known = [one.name for one in scene.insertable]
    # A file without a row loses nothing, whatever its header says.
    files = [f for f in scene.files if f.how != "no rows"]
    return sorted({c.name for f in files for c in f.columns if c.name not in known and c.target != NEST})


def judge(scene, database, prefix, env):
    target = f"{database}.target"
    ask(scene.ddl(target))
    first = oracle.given_types(scene, database, prefix)
    second = oracle.own_choice(scene, database, prefix)
    outcome = product.load(target, prefix, scene.format.name, scene.options, env)
    lost = oracle.losses(scene, database, prefix, first.table) if first.rows is not None else []
    state = _State(scene, database, prefix, env, first, second, outcome, lost)
    if outcome.kind == product.LOADED:
        found = _loaded(state, target)
    elif outcome.kind in (product.REFUSED, product.FAILED):
        found = _not_loaded(state, target)
    else:
        found = Verdict(UNEXPLAINED, f"the job is {outcome.kind}", [outcome.message[:1500]])
    found.details += [f"  plain INSERT: {first.error[:400] or f'{first.rows.total()} rows'}", f"  without a structure: {second.error[:300] or f'{second.rows.total()} rows'}", *(f"  lost there: {one}" for one in lost[:5])]
    return found, outcome


@dataclass
class _State:
    scene: object
    database: str
    prefix: str
    env: dict
    first: object
    second: object
    outcome: object
    lost: list


def _loaded(state, target):
    scene, first, second, outcome = state.scene, state.first, state.second, state.outcome
    try:
        rows = oracle.rows_of(scene, target)
        lost = oracle.losses(scene, state.database, state.prefix, target)
    except Refused as problem:
        return Verdict(UNEXPLAINED, f"loaded what the server cannot read: {gist(str(problem))}")
    hard = [one for one in lost if one.verdict != ROUNDED]
    silent = [one for one in hard if not _noted(outcome, one.column)]
    # A header in another case may have been matched; then nothing of it is lost.
    matched = [] if any(one.verdict == LOST for one in lost) else [c.name for f in scene.files for c in f.columns if c.target]
    surplus = [one for one in surplus_columns(scene) if one not in matched and not _noted(outcome, one)]
    if surplus and scene.format.named:
        return Verdict(UNEXPLAINED, "loaded, though a column of a file is nowhere in the target and no note names it", [f"  columns: {surplus}"])
    if rows == first.rows:
        if not lost:
            return Verdict(EQUAL, "types in the head of files are not looked at" if first.lenient else "")
        if not hard:
            return Verdict(LIKE_INSERT, "rounded", [f"  {one}" for one in lost[:5]])
        return Verdict(NOTED, "lossy as the plain INSERT") if not silent else Verdict(
            UNEXPLAINED, "a value was lost without a word, as a plain INSERT loses it", [f"  {one}" for one in silent[:5]])
    third = oracle.from_truth(scene, state.database)
    if not hard and _same_columns(scene, target, third):
        return Verdict(BETTER, "the plain INSERT fails" if first.rows is None else "the plain INSERT gives other values")
    if rows == second.rows and not hard:
        return Verdict(EQUAL, "as the server's own choice")
    differing = _differing(scene, first if first.rows is not None else third, target)
    if first.rows is None and third.rows is None and second.rows is None and not hard:
        return Verdict(BETTER, "the plain INSERT fails, and nothing that is known was lost")
    cased = {c.target for f in scene.files for c in f.columns if c.target and c.name != c.target}
    made_of = lambda column: cased & set(re.findall(r"\w+", scene.named(column).expression))  # noqa: E731
    if not hard and differing and all(one in cased or made_of(one) for one in differing):
        return Verdict(BETTER, "a column in another case is no loss")
    if differing and all(_noted(outcome, column) for column in differing):
        return Verdict(NOTED, "differs where a note says so")
    what = "the values lost are no other's" if hard else "no value of a file is lost"
    kind = "loaded other values than the plain INSERT" if first.rows is not None else "loaded what no witness gives"
    return Verdict(UNEXPLAINED, f"{kind} in {_families(scene, differing)}: {what}", [f"  columns: {differing}", *(f"  {one}" for one in hard[:5]), *_sample(rows, first.rows if first.rows is not None else third.rows)])


def _is_better(state, table):
    """Nothing of the files is lost, and the values are those that they were written from."""
    lost = oracle.losses(state.scene, state.database, state.prefix, table)
    third = oracle.from_truth(state.scene, state.database)
    return all(one.verdict == ROUNDED for one in lost) and _same_columns(state.scene, table, third)


def _are_of_the_files(state, target):
    """Are the rows of the tasks before the failure as the files have them, where the plain INSERT loses something?"""
    scene = state.scene
    there, plain = oracle.values_of(scene, target), oracle.values_of(scene, state.first.table)
    lost = [one for one in oracle.losses(scene, state.database, state.prefix, target) if one.row in there]
    if scene.format.single or any(one.verdict != ROUNDED for one in lost):
        return False
    columns = {column.target for file in scene.files for column in file.columns}
    for identity, mine in there.items():
        theirs = plain.get(identity, [])
        if len(mine) != len(theirs):
            return False
        if any(x[column] != y[column] and column not in columns for x, y in zip(mine, theirs) for column in x):
            return False
    return True


def _same_columns(scene, target, third):
    """Equal to the third witness; it casts text and times in its own ways, so lossless columns of files do not count."""
    if third.rows is None:
        return False
    differing = _differing(scene, third, target)
    have = {c.target for f in scene.files for c in f.columns}
    return all(column in have and scene.named(column).kind == "" for column in differing)


def _differing(scene, witness, target):
    if witness.rows is None:
        return []
    a, b = oracle.values_of(scene, witness.table), oracle.values_of(scene, target)
    if len(a) == 1 and scene.format.single:
        return [one.name for one in scene.insertable]
    found = set()
    for identity in set(a) | set(b):
        mine, theirs = a.get(identity, []), b.get(identity, [])
        if len(mine) != len(theirs):
            return ["row_id"]
        for x, y in zip(mine, theirs):
            found |= {column for column in x if x[column] != y[column]}
    return sorted(found)


def _families(scene, columns):
    return ", ".join(sorted({scene.named(one).type.family for one in columns})) or "computed columns"


def _sample(rows, other):
    if other is None:
        return []
    shown = [f"  target only: {line.decode('utf-8', 'replace')[:400]}" for line in list((rows - other).keys())[:2]]
    return shown + [f"  plain only:  {line.decode('utf-8', 'replace')[:400]}" for line in list((other - rows).keys())[:2]]


def _noted(outcome, column):
    return any(names(note, column) for note in outcome.notes)


def names(message, word):
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", message) is not None


def _has_no_unsigned(scene, column):
    """Is 4294967295 a -1 in the file? ORC and Avro have no unsigned numbers, inside other values too."""
    return scene.format.name in ("ORC", "Avro") and any(one.name == column and "UInt" in one.type.name for one in scene.columns)


def _not_loaded(state, target):
    scene, first, second, outcome, lost = state.scene, state.first, state.second, state.outcome, state.lost
    message = f"{outcome.message}\n{outcome.help}"
    verdict = REFUSED if outcome.kind == product.REFUSED else FAILED
    told = [f"  said: {outcome.message[:700]}", f"  help: {outcome.help[:300]}"]
    inside = oracle.rows_of(scene, target)
    if first.rows is not None and inside - first.rows and not _are_of_the_files(state, target):
        return Verdict(UNEXPLAINED, f"{verdict}, but the target holds rows that the plain INSERT does not have", told)
    if "made without a look at this file" in outcome.message:
        # What fits a file that was not looked at is told by its types alone: its task fails by name.
        named = [file.key.rpartition("/")[2] for file in scene.files if file.key.rpartition("/")[2] in outcome.message]
        return Verdict(FAILED, "a file unlike the sample", told) if named else Verdict(UNEXPLAINED, "a file unlike the sample is not named", told)
    surplus = surplus_columns(scene)
    found = BLAMED.search(outcome.message)
    blamed = found and found[1]
    files = [file.key.rpartition("/")[2] for file in scene.files]
    columns = [one.name for one in scene.columns] + surplus
    if surplus:
        # Another column that would be lost may be named in its place: CSV writes a Tuple as columns of their own.
        reason, wanted = "a column that the target lacks", surplus + [one.column for one in lost]
        # A column whose name differs by case is told of as the target has it.
        wanted += [one.name for one in scene.columns if one.name.lower() in [title.lower() for title in wanted]]
        if first.rows is None and second.rows is None:
            wanted += files + columns  # nobody can load the files, with that column or without it
    elif lost:
        worst = [one for one in lost if one.verdict == LOST] or lost
        reason = f"a value would be lost ({worst[0].verdict})"
        wanted = [one.column for one in worst] + [one.file.rpartition("/")[2] for one in worst]
        wanted += [blamed] if blamed in [one.column for one in oracle.stored_losses(scene, state.prefix, first.table)] else []
    elif first.rows is None or first.lenient:
        if second.rows is not None and not oracle.losses(scene, state.database, state.prefix, second.table):
            return Verdict(UNEXPLAINED, f"{verdict}, though an INSERT without a structure loses nothing: {gist(outcome.message)}", told)
        reason, wanted = "the plain INSERT fails too", files + columns
    else:
        stored = oracle.stored_losses(scene, state.prefix, first.table)
        if blamed not in [one.column for one in stored] and _has_no_unsigned(scene, blamed):
            return Verdict(verdict, "what the file itself stores does not fit", told)
        # CSV has a Tuple as columns of their own, which a plain INSERT skips: values that are defaults look kept.
        apart = [f"`{one.name}.{element}`" for one in scene.columns for element in one.type.names or range(1, len(one.type.children) + 1)]
        if not stored and scene.format.name.startswith("CSV") and any(one in outcome.message for one in apart):
            return Verdict(verdict, "a Tuple in columns of their own", told)
        if not stored and blamed and _is_wrong_by_hand(scene, blamed):
            return Verdict(verdict, "a value of an EPHEMERAL column does not fit", told)
        if not stored:
            return Verdict(UNEXPLAINED, f"{verdict}, though nothing is lost by the plain INSERT: {gist(outcome.message)}", told)
        # Only a value that is named can be one that is stored otherwise.
        reason, wanted = "what the file itself stores does not fit", [one.column for one in stored if one.column == blamed]
        told += [f"  stored: {one}" for one in stored[:3]]
    if not any(names(message, word) for word in wanted):
        return Verdict(UNEXPLAINED, f"{verdict} ({reason}), but the message names neither file nor column: {gist(outcome.message)}", told)
    if lost and blamed:
        stored = oracle.stored_losses(scene, state.prefix, first.table)
        # A file may have the name in another case.
        if blamed.casefold() not in [one.column.casefold() for one in [*lost, *stored]] and not _is_wrong_by_hand(scene, blamed) and not _has_no_unsigned(scene, blamed):
            return Verdict(UNEXPLAINED, f"{verdict}, and blames a column of which nothing is lost: {gist(outcome.message)}", told)
    found = Verdict(verdict, reason, told)
    return _go_on(state, found, surplus, lost)


def _is_wrong_by_hand(scene, column):
    """Was a value written into a file that does not fit? Of an EPHEMERAL column no table tells."""
    titles = [(f, c.name) for f in scene.files for c in f.columns if c.target == column]
    return any(cells.get(title, ("",))[0] in (WRONG, LOSSY) for f, title in titles for _, cells in f.hand_rows)


def _go_on(state, found, surplus, lost):
    """The way on that a refusal offers must lead on: the same load with its options is what the plain INSERT gives."""
    scene, env = state.scene, state.env
    cased = any(c.target and c.name != c.target for f in scene.files for c in f.columns)
    if state.first.rows is None or state.first.lenient or cased:
        return found  # there is no plain INSERT to compare with
    if not (surplus or lost) or not all(product.offers(option, env) for option in ("--ignore-columns", "--conversions")):
        return found
    again = f"{state.database}.again"
    ask(scene.ddl(again))
    left_out = list(surplus)  # the one column of a format that has just one is renamed
    for _ in range(LEFT_OUT_MAX):
        options = scene.options + (["--select", f"{left_out[0]} AS {scene.columns[0].name}"] if scene.format.single else ["--ignore-columns", ",".join(left_out)] if left_out else []) + (["--conversions", "as-insert"] if lost else [])
        outcome = product.load(again, state.prefix, scene.format.name, options, env)
        more = re.search(r"--ignore-columns ('[^']*'|[^\s;]+)", outcome.help) if outcome.kind == product.REFUSED else None
        # CSV has a Tuple as columns of their own.
        offered = [one for one in more[1].strip("'").split(",") if one not in left_out] if more else []
        if not offered:
            break
        left_out += offered
    found.way_on = f"{' '.join(options)}: {outcome.kind}"
    if outcome.kind == product.LOADED and oracle.rows_of(scene, again) in (state.first.rows, state.second.rows):
        return found
    # The server takes the folders for columns only where all keys have them, and a marker has none.
    if outcome.kind == product.LOADED and any("=" not in f.key for f in scene.files) and set(scene.hive).issuperset(_differing(scene, state.first, again)):
        return found
    # A Tuple that CSV has as columns of their own is in no file then, and a reader's zero is not always the table's.
    apart = {one.name for one in scene.columns if any(name.startswith(f"{one.name}.") for name in left_out)}
    if outcome.kind == product.LOADED and apart and apart.issuperset(_differing(scene, state.first, again)):
        return found
    if outcome.kind == product.LOADED and "--conversions" not in options and _is_better(state, again):
        return found
    if outcome.kind == product.LOADED:
        details = _sample(oracle.rows_of(scene, again), state.first.rows)
        return Verdict(UNEXPLAINED, f"{' '.join(_options_only(options))} gives other rows than the plain INSERT", [*found.details, *details])
    blamed = BLAMED.search(outcome.message)
    if outcome.kind == product.FAILED and blamed and _has_no_unsigned(scene, blamed[1]):
        return found
    if found.way_on:
        return Verdict(UNEXPLAINED, f"{' '.join(_options_only(options))} is {outcome.kind}: {gist(outcome.message)}", [*found.details, f"  then: {outcome.message[:600]}"])
    return found


def _options_only(options):
    return [one for one in options if one.startswith("--") and one != "--chunk-files-max"]


def gist(message):
    """The message without what differs from scene to scene."""
    text = re.sub(r"of type \S+( \S+)*? is prohibited", "of type … is prohibited", message.split("\n")[0])
    text = re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"", "…", re.sub(r"(?<=file )\S+", "…", text))
    return re.sub(r"\d+", "N", text)[:160]
