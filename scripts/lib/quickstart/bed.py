"""The servers of the story."""

import os
import shlex
import subprocess
import urllib.error
import urllib.request

from .words import ROOT, Failed, chapter, run, tell

SQL_SECONDS_MAX = 300
# The bed of --cluster is another one than the usual.
CLUSTER_BED = ROOT / ".testbed-cluster"
CLUSTER_SHAPE = ["--engine", "25.8", "--replicas", "2", "--keepers", "3"]

# Settings of another installation that would lead the programs away from the bed.
FOREIGN = [
    "CLICKHOUSE_PASSWORD_FILE", "CLICKHOUSE_CA_FILE", "CLICKHOUSE_CLUSTER", "CLICKHOUSE_URL_2",
    "LONGSHORE_CONFIG", "LONGSHORE_DATABASE", "LONGSHORE_STAGING_DATABASE",
]


class Bed:
    """The servers, as the user who may do everything: scenes are set up and checked with it."""

    def __init__(self):
        told = subprocess.run(
            [ROOT / "scripts/testbed", "env"], stdout=subprocess.PIPE, text=True, check=False,
        )
        if told.returncode != 0:
            raise Failed("the test bed does not run; try `scripts/testbed status`.")
        for name in FOREIGN:
            os.environ.pop(name, None)
        for line in told.stdout.splitlines():
            name, value = shlex.split(line.removeprefix("export "))[0].split("=", 1)
            os.environ[name] = value
        self.url = os.environ["CLICKHOUSE_URL"]
        self.second_url = os.environ.get("CLICKHOUSE_URL_2")
        self.cluster = os.environ.get("CLICKHOUSE_CLUSTER") if self.second_url else None
        self.collection = os.environ["S3_COLLECTION"]

    def sql(self, statement, url=None):
        request = urllib.request.Request(url or self.url, data=statement.encode())
        try:
            with urllib.request.urlopen(request, timeout=SQL_SECONDS_MAX) as answer:
                return answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            raise Failed(f"the server refused a statement: {error.read().decode().strip()}\n{statement}") from None
        except OSError as error:
            raise Failed(f"the server does not answer at {url or self.url}: {error}") from None

    def files(self):
        return f"s3({self.collection}, filename='quickstart/*.parquet', format='Parquet')"


def start_bed(cluster):
    chapter(2, "A place to try it")
    if cluster:
        tell("Two replicas of ClickHouse, three ZooKeepers and an S3 store, on this machine only, in one folder.")
        os.environ.setdefault("LONGSHORE_TESTBED_DIR", str(CLUSTER_BED))
        run(["scripts/testbed", "start", *CLUSTER_SHAPE])
        return Bed()
    tell("A real ClickHouse, a ZooKeeper and an S3 store, on this machine only, in one folder.")
    run(["scripts/testbed", "start"])
    return Bed()
