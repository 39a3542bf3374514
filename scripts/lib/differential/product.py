"""Longshore, as a user runs it."""

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .paths import programs
from .server import Died

SECONDS_MAX = 90
SERVER_AWAY = 5
LOADED, REFUSED, FAILED, PAUSED, BROKEN = "loaded", "refused", "failed", "paused", "broken"


@dataclass
class Outcome:
    kind: str
    code: int = 0
    message: str = ""
    help: str = ""
    notes: list = field(default_factory=list)
    plan: str = ""
    commands: list = field(default_factory=list)


def environment(control):
    """Control tables of its own for each lane, so that plans of many scenes do not pile up."""
    return {
        **os.environ, "PATH": f"{programs()}{os.pathsep}{os.environ['PATH']}",
        "LONGSHORE_DATABASE": control, "LONGSHORE_STAGING_DATABASE": f"{control}_staging",
    }


def call(arguments, env):
    """Exit code, standard output, standard error. A command that hangs is killed with all its workers."""
    process = subprocess.Popen(
        ["longshore", *arguments], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        end_session(process.pid)
        out, err = process.communicate()
        return None, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
    # A worker whose server is away waits for it, and would work beside the next scenes.
    end_session(process.pid)
    return process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def end_session(leader):
    """Ends all processes of a command's own session: its workers have process groups of their own."""
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
            if fields and int(fields[3]) == leader:
                os.kill(int(entry.name), signal.SIGKILL)
        except (OSError, IndexError):
            continue


def end_all(mark):
    """Ends what this run has started and nothing has ended: a worker that outlives its server would kill the next one too."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"LONGSHORE_DATABASE=longshore_{mark}".encode() in (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


def offers(option, env, known={}):  # noqa: B006  (asked once a run)
    """Does `plan files` have this option?"""
    if "help" not in known:
        known["help"] = call(["plan", "files", "--help"], env)[1]
    return re.search(rf"{option}\b", known["help"]) is not None


def _json(text):
    for part in (text, *reversed(text.splitlines())):
        try:
            found = json.loads(part)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


def load(target, prefix, form, options, env, exact=False):
    """Plans and runs one load of all files of a prefix, or of the one file of that key."""
    plan = ["plan", "files", "--target", target, "--url", prefix if exact else f"{prefix}/**", "--named-collection", os.environ["S3_COLLECTION"], "--format", form, *options, "--json"]
    told = [" ".join(["longshore", *(f"'{part}'" if re.search(r"[^\w/.,-]", part) else part for part in plan)])]
    code, out, err = call(plan, env)
    if code == SERVER_AWAY or "Connection refused" in out + err:
        raise Died(told[0])
    if code is None:
        return Outcome(BROKEN, -1, f"the plan took more than {SECONDS_MAX} s", commands=told)
    found = _json(out) or _json(err) or {}
    if code != 0 or "plan_id" not in found:
        problem = found.get("error") or {}
        message = problem.get("message") or (out + err)
        kind = REFUSED if problem and code in (1, 2, 6, 8) else BROKEN
        return Outcome(kind, code, message, str(problem.get("help") or ""), commands=told)
    ran = ["run", found["plan_id"], "--workers", "1", "--json"]
    told.append("longshore " + " ".join(ran))
    code, out, err = call(ran, env)
    if code == SERVER_AWAY or "Connection refused" in out + err:
        raise Died(told[1])
    job = _json(out) or {}
    outcome = Outcome(LOADED, code or 0, "", notes=[str(note) for note in found.get("notes", [])], plan=found["plan_id"], commands=told)
    if code == 0 and job.get("state") == "completed":
        return outcome
    tasks = _json(call(["tasks", found["plan_id"], "--json"], env)[1]) or {}
    errors = [str(task["error"]) for task in tasks.get("tasks", []) if task.get("error")]
    outcome.message = "\n".join([*errors, str(job.get("reason", "")), *map(str, job.get("problems", [])), "" if errors else out[-2000:] + err[-2000:]])
    state = job.get("state")
    outcome.kind = PAUSED if state == "paused" else FAILED if state == "failed" and code is not None else BROKEN
    outcome.code = -1 if code is None else code
    return outcome
