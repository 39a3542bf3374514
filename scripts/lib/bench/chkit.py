"""chkit-py (PyPI, MIT), the Python port of the planner in the reference texts, as a user would run it.

It is installed into a folder of the measurement and is no dependency of the project. Its plain
copy reads and writes one table; a copy into another goes through a view in its schema file that
selects everything, which need not exist on the server. It plans by that view's source.
"""

import json
import os
import subprocess
import sys
import venv

from .common import SECONDS_MAX, Failed

VERSION = "0.2.0"
# What it was measured with; its own requirements are ranges.
DRIVER = "clickhouse-connect==0.15.1"

CONFIG = """\
import os

from chkit.core.model import define_config
from chkit_plugin_backfill import backfill

config = define_config({
    "schema": ["schema.py"], "outDir": "out", "migrationsDir": "out/migrations", "metaDir": "out/meta",
    "plugins": [backfill({})],
    "clickhouse": {"url": os.environ["CLICKHOUSE_URL"], "username": "default", "password": "", "database": "bench"},
})
"""
SCHEMA = """\
from chkit.core.model import materialized_view

copy = materialized_view(database="bench", name="copying", to={{"database": "bench", "name": "{target}"}}, as_="SELECT * FROM bench.{source}")
"""
# The condition of each chunk, by its own function.
WHERES = """\
import json, sys
from chkit_plugin_backfill.chunking.boundary_codec import decode_chunk_plan_from_persistence
from chkit_plugin_backfill.chunking.sql import build_where_clause_from_chunk
from chkit_plugin_backfill.types import BackfillPlanState

plan = BackfillPlanState.model_validate(json.load(open(sys.argv[1])))
chunks = decode_chunk_plan_from_persistence(plan.chunk_plan)
print(json.dumps([build_where_clause_from_chunk(chunk, chunks.table) for chunk in chunks.chunks]))
"""


class Chkit:
    user = "default"

    def __init__(self, work):
        self.home = work / "chkit"
        self.python = self.home / "venv" / "bin" / "python"
        self.program = self.home / "venv" / "bin" / "chkit"
        if not self.program.exists():
            print(f"installing chkit-py {VERSION} into a folder of this run", flush=True)
            venv.create(self.home / "venv", with_pip=True)
            subprocess.run(
                [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"chkit-py=={VERSION}", DRIVER],
                check=True, stdin=subprocess.DEVNULL, timeout=SECONDS_MAX,
            )
        (self.home / "clickhouse.config.py").write_text(CONFIG)

    def copy_of(self, source, target):
        (self.home / "schema.py").write_text(SCHEMA.format(source=source, target=target))
        self.source, self.target = source, target

    def command(self, *arguments):
        return [str(self.program), "plugin", "backfill", *map(str, arguments), "--json"]

    def call(self, *arguments):
        # subprocess.run ends it when this program ends.
        done = subprocess.run(
            self.command(*arguments), cwd=self.home, env=dict(os.environ), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=SECONDS_MAX,
        )
        if done.returncode != 0:
            raise Failed(f"chkit {arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def plan(self, budget):
        return self.call("plan", "--target", f"bench.{self.target}", "--max-chunk-bytes", budget)

    def chunks(self, plan):
        """Table and condition of each."""
        done = subprocess.run(
            [self.python, "-c", WHERES, plan["planPath"]], cwd=self.home, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=sys.stderr, text=True, check=True, timeout=SECONDS_MAX,
        )
        return [(f"bench.{self.source}", where) for where in json.loads(done.stdout)]

    def progress(self, plan):
        """Chunks done by its own file of the run."""
        path = self.home / "out" / "meta" / "backfill" / "runs" / f"{plan['planId']}.json"
        try:
            run = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return sum(1 for chunk in run["progress"].values() if chunk["status"] == "done")

    def start(self, verb, plan, options):
        return subprocess.Popen(
            self.command(verb, "--plan-id", plan["planId"], *options), cwd=self.home, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )
