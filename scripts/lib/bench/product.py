"""Longshore, as a user would run it."""

import os
import subprocess

from .common import longshore


class Product:
    def __init__(self):
        self.user = os.environ["CLICKHOUSE_USER"]

    def copy_of(self, source, target):
        self.source, self.target = source, target

    def plan(self, budget, again="", *more):
        found = longshore(
            "plan", "copy", "--from", f"bench.{self.source}", "--target", f"bench.{self.target}",
            "--chunk-bytes", budget, *(["--again", again] if again else []), *more,
        )
        return {**found, "chunkCount": found["chunks"]}

    def chunks(self, plan):
        """Table and condition of each; the table is a snapshot where the plan made one."""
        shown = longshore("plan", "show", plan["plan_id"], "--chunks", plan["chunks"])
        return [(chunk["slice"]["from"], chunk["slice"]["where"]) for chunk in shown["first_chunks"]]

    def progress(self, plan):
        """Tasks done."""
        return longshore("status", plan["plan_id"])["tasks"]["done"]

    def start(self, verb, plan, options):
        """`run` also resumes: there is no other command for it."""
        return subprocess.Popen(
            ["longshore", "--json", "run", plan["plan_id"], *map(str, options)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )
