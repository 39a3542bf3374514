"""What holds KeeperMap and the state of replicas: ZooKeeper, or ClickHouse's own Keeper."""

import socket

from . import clickhouse_config as config
from . import packages
from .clickhouse import clickhouse_program
from .server import PROBE_SECS, Server


def _ruok(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PROBE_SECS) as s:
            s.settimeout(PROBE_SECS)
            s.sendall(b"ruok")
            return s.recv(4) == b"imok"
    except OSError:
        return False


class ZooKeeper(Server):
    name = "zookeeper"

    def port_names(self):
        return ["keeper"]

    def install(self):
        self.java = packages.java_and_zookeeper()

    def prepare(self):
        settings = {
            "tickTime": 500,
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
        with open(self.bed.file("zoo.cfg"), "w", encoding="utf-8") as f:
            f.writelines(f"{key}={value}\n" for key, value in settings.items())

    def argv(self):
        log = "org.slf4j.simpleLogger"
        return [
            self.java,
            "-Xmx256m",
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
            self.bed.file("zoo.cfg"),
        ]

    def answers(self):
        return _ruok(self.port)


class Keeper(Server):
    """ClickHouse's own Keeper, used beside a real ClickHouse binary."""

    name = "keeper"

    def port_names(self):
        return ["keeper", "keeper-raft"]

    def install(self):
        self.program = clickhouse_program()

    def prepare(self):
        tree = config.keeper_part(self.bed, self.data_dir, self.bed.file("log", "keeper.server.log"))
        config.write_xml(self.bed.file("keeper.xml"), tree)

    def argv(self):
        return [self.program, "keeper", f"--config-file={self.bed.file('keeper.xml')}"]

    def answers(self):
        return _ruok(self.port)
