"""What KeeperMap and replicated tables keep their state in: ZooKeeper, or ClickHouse's own Keeper."""

import os
import socket

from . import clickhouse_config as config
from . import engines, packages, process
from .server import PROBE_SECS, Server

# An ensemble on a busy machine: a slow member is not a dead one.
TICK_MILLISECONDS = 500
INIT_TICKS = 60
SYNC_TICKS = 10


def _ask(port, word):
    """The answer to a four-letter word; empty when there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PROBE_SECS) as s:
            s.settimeout(PROBE_SECS)
            s.sendall(word)
            return b"".join(iter(lambda: s.recv(4096), b""))
    except OSError:
        return b""


class ZooKeeper(Server):
    """One ZooKeeper, or a member of an ensemble that elects a leader."""

    def __init__(self, bed, number=1):
        super().__init__(bed)
        self.number = number
        self.name = "zookeeper" if bed.keepers == 1 else f"zookeeper-{number}"

    def port_names(self):
        client = "keeper" if self.number == 1 else f"keeper-{self.number}"
        return [client] if self.bed.keepers == 1 else [client, f"keeper-election-{self.number}"]

    def idle_port_names(self):
        # The leader listens there.
        return [] if self.bed.keepers == 1 else [f"keeper-peer-{self.number}"]

    def refers_to(self, other):
        return isinstance(other, ZooKeeper)

    def install(self):
        self.java = packages.java_and_zookeeper()

    def prepare(self):
        settings = {
            "tickTime": TICK_MILLISECONDS,
            "dataDir": self.data_dir,
            "clientPort": self.port,
            "clientPortAddress": "127.0.0.1",
            "admin.enableServer": "false",
            "4lw.commands.whitelist": "ruok,srvr,mntr",
            "maxClientCnxns": 0,
            "minSessionTimeout": 1000,
            "maxSessionTimeout": 60000,
            "autopurge.snapRetainCount": 3,
            "autopurge.purgeInterval": 1,
        }
        if self.bed.keepers > 1:
            settings.update(self._ensemble())
            with open(os.path.join(self.data_dir, "myid"), "w", encoding="ascii") as f:
                f.write(f"{self.number}\n")
        with open(self._config_path(), "w", encoding="utf-8") as f:
            f.writelines(f"{key}={value}\n" for key, value in settings.items())

    def _ensemble(self):
        ports = self.bed.ports
        return {
            "initLimit": INIT_TICKS,
            "syncLimit": SYNC_TICKS,
            **{
                f"server.{n}": f"127.0.0.1:{ports[f'keeper-peer-{n}']}:{ports[f'keeper-election-{n}']}"
                for n in range(1, self.bed.keepers + 1)
            },
        }

    def _config_path(self):
        return self.bed.file("zoo.cfg" if self.bed.keepers == 1 else f"zoo-{self.number}.cfg")

    def argv(self):
        log = "org.slf4j.simpleLogger"
        return [
            self.java,
            f"-Xmx{self.bed.keeper_heap}m",
            "-Xss512k",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Dzookeeper.jmx.log4j.disable=true",
            "-Dzookeeper.preAllocSize=16384",
            f"-D{log}.showDateTime=true",
            f"-D{log}.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
            f"-D{log}.defaultLogLevel=warn",
            f"-D{log}.log.org.apache.zookeeper.server.ZooKeeperServer=info",
            "-cp",
            f"{packages.ZOOKEEPER_JAR}:/usr/share/java/slf4j-simple.jar",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            self._config_path(),
        ]

    def answers(self):
        # Without a majority, a member that was restarted cannot serve yet.
        if self.bed.keepers > 1 and majority_runs(self.bed):
            return bool(self._mode())
        return _ask(self.port, b"ruok") == b"imok"

    def _mode(self):
        """`leader` or `follower`; None while it has no leader."""
        for line in _ask(self.port, b"srvr").decode("ascii", "replace").splitlines():
            if line.startswith("Mode: "):
                return line.removeprefix("Mode: ")
        return None

    def facts(self):
        return {"mode": self._mode()} if self.bed.keepers > 1 else {}


class Keeper(Server):
    """ClickHouse's own Keeper, used beside a real ClickHouse binary."""

    name = "keeper"

    def port_names(self):
        return ["keeper", "keeper-raft"]

    def install(self):
        self.program = engines.program()

    def prepare(self):
        tree = config.keeper_part(self.bed, self.data_dir, self.bed.file("log", "keeper.server.log"))
        config.write_xml(self.bed.file("keeper.xml"), tree)

    def argv(self):
        return [self.program, "keeper", f"--config-file={self.bed.file('keeper.xml')}"]

    def answers(self):
        return _ask(self.port, b"ruok") == b"imok"


def keepers(bed):
    """The coordination servers of a bed. A library has no Keeper in it; the machine's own program has."""
    if not bed.engine.archive and bed.keepers == 1:
        return [Keeper(bed)]
    return [ZooKeeper(bed, n) for n in range(1, bed.keepers + 1)]


def majority_runs(bed):
    running = sum(process.alive(bed.process(keeper.name)) for keeper in keepers(bed))
    return running > bed.keepers // 2
