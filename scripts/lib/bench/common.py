"""What every measurement needs: a bed, statements, the product, medians."""

import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
SECONDS_MAX = 1200


class Failed(Exception):
    """The measurement is worth nothing."""


def sql(statement, server="CLICKHOUSE_URL", **settings):
    """Asks a server of the bed as the user who may do everything; `server` is the variable of its address."""
    query = "&".join(f"{name}={value}" for name, value in {"wait_end_of_query": 1, **settings}.items())
    request = urllib.request.Request(f"{os.environ[server]}/?{query}", data=statement.encode())
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
            return answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        raise Failed(f"{error.read().decode().strip()}\n{statement}") from None


def longshore(*arguments, programs=None):
    """The command's answer. Programs of another folder get an installation of their own."""
    program, environment = "longshore", dict(os.environ)
    if programs:
        program = str(programs.resolve() / "longshore")
        environment |= {"LONGSHORE_DATABASE": "longshore_other", "LONGSHORE_STAGING_DATABASE": "longshore_staging_other"}
    done = subprocess.run(
        [program, "--json", *map(str, arguments)], stdin=subprocess.DEVNULL, env=environment,
        capture_output=True, text=True, check=False, timeout=SECONDS_MAX,
    )
    if done.returncode != 0:
        raise Failed(f"longshore {shlex.join(map(str, arguments))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


@contextmanager
def bed(*options):
    """A bed of its own (options of `testbed start`) with a fresh installation and the database `bench`, gone at the end."""
    release = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "release"
    if not (release / "longshore-worker").exists():
        raise Failed("build first: cargo build --release")
    os.environ["PATH"] = f"{release}{os.pathsep}{os.environ['PATH']}"
    for name in ["CLICKHOUSE_PASSWORD_FILE", "LONGSHORE_CONFIG", "LONGSHORE_DATABASE", "LONGSHORE_STAGING_DATABASE"]:
        os.environ.pop(name, None)
    work = Path(tempfile.mkdtemp(prefix="longshore-bench-"))
    folder = work / "bed"
    try:
        subprocess.run([ROOT / "scripts/testbed", "start", "--dir", folder, *options], check=True, stdin=subprocess.DEVNULL)
        told = subprocess.run([ROOT / "scripts/testbed", "env", "--dir", folder], check=True, stdout=subprocess.PIPE, text=True)
        for line in told.stdout.splitlines():
            name, value = shlex.split(line.removeprefix("export "))[0].split("=", 1)
            os.environ[name] = value
        sql("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
        longshore("init")
        yield work
    finally:
        subprocess.run([ROOT / "scripts/testbed", "wipe", "--quiet", "--dir", folder], check=False, stdin=subprocess.DEVNULL)
        shutil.rmtree(work, ignore_errors=True)


def document(bench, rounds, **more):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "bench": bench, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "rounds": rounds,
        "machine": {"cores": os.cpu_count(), "memory_bytes": memory, "system": platform.platform()},
        "clickhouse": sql("SELECT version()"), **more,
    }


def write(path, found):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(f"\nAll of it, step by step: {path}", flush=True)


def middle(values):
    return statistics.median(values) if values else float("nan")


def parse_bytes(text):
    """1G is 1,073,741,824 in both programs."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def server_work(user, since, until, where="1"):
    """What the server did for a user in a span of time: nothing that was asked stays hidden."""
    sql("SYSTEM FLUSH LOGS")
    row = sql(
        "SELECT count(), sum(query_duration_ms) / 1000, sum(read_rows), sum(read_bytes), "
        "dateDiff('microsecond', min(query_start_time_microseconds), max(event_time_microseconds)) / 1e6, "
        "sum(ProfileEvents['OSCPUVirtualTimeMicroseconds']) / 1e6 FROM system.query_log "
        f"WHERE type = 'QueryFinish' AND user LIKE '{user}' AND NOT startsWith(query, 'SYSTEM FLUSH') AND ({where}) "
        f"AND query_start_time_microseconds >= fromUnixTimestamp64Micro({since}) AND query_start_time_microseconds <= fromUnixTimestamp64Micro({until}) FORMAT TSV"
    ).split("\t")
    return {
        "statements": int(row[0]), "seconds": float(row[1]), "read_rows": int(row[2]), "read_bytes": int(row[3]),
        "span_seconds": float(row[4]) if row[0] != "0" else 0.0, "cpu_seconds": float(row[5]),
    }


def now_us():
    return time.time_ns() // 1000
