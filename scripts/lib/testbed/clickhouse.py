"""ClickHouse as a process of the bed."""

import glob
import os
import shutil
import sys
import time
from urllib.parse import quote

from . import clickhouse_config as config
from . import engines, packages, tls
from .coordination import Keeper, ZooKeeper, majority_runs
from .report import warn
from .seaweedfs import SeaweedFS
from .server import PROBE_SECS, Server, get

WRITABLE_SECS = 10
RUNNER = os.path.join(os.path.dirname(__file__), "chdb_server.py")


class ClickHouse(Server):
    """A process of ClickHouse; the subclasses say out of which program."""

    def __init__(self, bed, number):
        super().__init__(bed)
        self.number = number
        self.name = f"clickhouse-{number}"

    def refers_to(self, other):
        return isinstance(other, (Keeper, ZooKeeper, SeaweedFS))

    def config_path(self):
        return self.bed.file(f"{self.name}.xml")

    def users_path(self):
        return self.bed.file(f"users-{self.number}.xml")

    def own_config(self):
        raise NotImplementedError

    def prepare(self):
        # A file here, named by its full path, can be read by file() on every engine.
        os.makedirs(os.path.join(self.data_dir, "user_files"), exist_ok=True)
        log_path = self.bed.file("log", f"{self.name}.server.log")
        more = config.more_users(self.bed.file("more-users.json"))
        config.write_xml(self.users_path(), config.users(self.bed.engine, self.bed.state["password"], more))
        config.write_xml(self.config_path(), {**config.shared_part(self.bed, log_path), **self.own_config()})

    def library_argv(self, *arguments):
        engine = self.bed.engine
        return [*config.wrapper(), sys.executable, "-IBS", RUNNER, engine.entry, self.library, *arguments]

    def _query(self, sql, method="GET", timeout=PROBE_SECS):
        return get(f"{self.bed.http_url(self.number)}/?query={quote(sql)}", method, timeout)

    def answers(self):
        answer = self._query("SELECT 1")
        return bool(answer) and answer[1] == b"1\n"

    def complete(self):
        """The first flush creates the log tables, so that nobody finds them missing."""
        answer = self._query("SYSTEM FLUSH LOGS", method="POST", timeout=30)
        if not answer or answer[0] != 200:
            warn(f"{self.name}: SYSTEM FLUSH LOGS did not work: {answer and answer[1][:300]!r}")


class WholeServer(ClickHouse):
    """clickhouse-server, out of a library or as a program of the machine."""

    def port_names(self):
        return [f"{port}-{self.number}" for port in ("http", "tcp", "interserver", "https")]

    def refers_to(self, other):
        # All of them are in remote_servers.
        return super().refers_to(other) or isinstance(other, WholeServer)

    def starts_after(self, other):
        # A replicated table that finds no Keeper when it is loaded tries again after 60 s.
        return isinstance(other, (Keeper, ZooKeeper))

    def facts(self):
        return {"shard": self.bed.shard_of(self.number), "replica": f"clickhouse-{self.number}"}

    def install(self):
        tls.ensure(self.bed)
        if self.bed.engine.archive:
            self.library = packages.program(self.bed.engine.archive)
        else:
            self.program = engines.program()

    def own_config(self):
        return config.server_part(self.bed, self.number, self.data_dir, self.users_path())

    def argv(self):
        file = f"--config-file={self.config_path()}"
        if self.bed.engine.archive:
            return self.library_argv(file)
        return [*config.wrapper(), self.program, "server", file]

    def env(self):
        # The watchdog would fork, and the process written down would not be the server.
        return {"CLICKHOUSE_WATCHDOG_ENABLE": "0"}

    def complete(self):
        """Wait also until its replicated tables have a Keeper session; without a Keeper they have none."""
        super().complete()
        end = time.monotonic() + WRITABLE_SECS
        while majority_runs(self.bed) and self._has_readonly_tables() and time.monotonic() < end:
            time.sleep(0.05)

    def _has_readonly_tables(self):
        answer = self._query("SELECT count() FROM system.replicas WHERE is_readonly")
        return not answer or answer[1] != b"0\n"


class EmbeddedClickHouse(ClickHouse):
    """clickhouse-local out of a library. It starts its listeners by a query and then sleeps in another one."""

    # It has no orderly shutdown worth waiting for: a kill and a stop leave the same files.
    grace_secs = 3

    SERVE = (
        "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; "
        "SELECT sleepEachRow(1) FROM numbers(1000000000) FORMAT Null "
        "SETTINGS function_sleep_max_microseconds_per_block=100000000000, max_block_size=1"
    )

    def port_names(self):
        return [f"http-{self.number}", f"tcp-{self.number}"]

    def install(self):
        self.library = packages.program(self.bed.engine.archive)

    def config_path(self):
        # Without options it looks for this name in its working directory.
        if self.bed.engine.entry == "module":
            return os.path.join(self.data_dir, "config.xml")
        return super().config_path()

    def own_config(self):
        if self.bed.engine.entry == "module":
            return config.module_part(self.bed, self.number, self.data_dir, self.users_path())
        return config.embedded_part(self.users_path())

    def prepare(self):
        super().prepare()
        self.remove_log_tables()

    def remove_log_tables(self):
        """Forget system.query_log and its like.

        This engine never loads them again after a restart, and it fails for ever to create them
        while their folder is there: code 57, and SYSTEM FLUSH LOGS flushes nothing.
        """
        for path in glob.glob(os.path.join(glob.escape(self.data_dir), "data", "system", "*_log*")):
            shutil.rmtree(path, ignore_errors=True)

    def argv(self):
        if self.bed.engine.entry == "module":
            return self.library_argv(self.data_dir, self.SERVE)
        return self.library_argv(
            f"--config-file={self.config_path()}",
            f"--log-level={config.LOG_LEVEL}",
            f"--path={self.data_dir}",
            f"--http_port={self.bed.ports[f'http-{self.number}']}",
            f"--tcp_port={self.bed.ports[f'tcp-{self.number}']}",
            f"--query={self.SERVE}",
        )
