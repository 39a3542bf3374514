"""The servers of a bed: for each its ports, its files, its command line, and when it is ready."""

import glob
import http.client
import json
import os
import shutil
import socket
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from urllib.parse import quote

from . import clickhouse_config as config
from . import packages
from .report import BedError, warn

PROBE_SECS = 2


class Server:
    name = ""
    ready_secs = 60
    grace_secs = 5

    def __init__(self, bed):
        self.bed = bed

    @property
    def data_dir(self):
        return self.bed.file(self.name)

    @property
    def port(self):
        """The port its users talk to."""
        return self.bed.ports.get(self.port_names()[0])

    def port_names(self):
        raise NotImplementedError

    def install(self):
        """Get the programs; called before anything is started."""

    def prepare(self):
        """Write config files; called before each start."""

    def argv(self):
        raise NotImplementedError

    def env(self):
        return {}

    def answers(self):
        """Whether it does its work (its ports are open already)."""
        raise NotImplementedError

    def complete(self):
        """Set up what its users expect, once it answers. Runs at every start."""

    def clean_up(self):
        """Remove what a killed process leaves outside the bed's folder."""


def _get(url, method="GET", timeout=PROBE_SECS):
    """(status, body), or None when nobody answers."""
    request = urllib.request.Request(url, method=method)
    # No proxy from the environment: these are loopback addresses.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, http.client.HTTPException):
        return None


def _clickhouse_program():
    path = shutil.which("clickhouse")
    if not path:
        raise BedError("this bed was made with a clickhouse program, and none is on the PATH now")
    return path


# --- coordination ------------------------------------------------------------------------------


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
        self.program = _clickhouse_program()

    def prepare(self):
        tree = config.keeper_part(self.bed, self.data_dir, self.bed.file("log", "keeper.server.log"))
        config.write_xml(self.bed.file("keeper.xml"), tree)

    def argv(self):
        return [self.program, "keeper", f"--config-file={self.bed.file('keeper.xml')}"]

    def answers(self):
        return _ruok(self.port)


# --- ClickHouse --------------------------------------------------------------------------------


class ClickHouse(Server):
    """A real `clickhouse server`."""

    def __init__(self, bed, number):
        super().__init__(bed)
        self.number = number
        self.name = f"clickhouse-{number}"

    def port_names(self):
        return [f"http-{self.number}", f"tcp-{self.number}", f"interserver-{self.number}"]

    def install(self):
        self.program = _clickhouse_program()

    def config_path(self):
        return self.bed.file(f"{self.name}.xml")

    def users_path(self):
        return self.bed.file(f"users-{self.number}.xml")

    def own_config(self):
        return config.server_part(self.bed, self.number, self.data_dir, self.users_path())

    def prepare(self):
        # A file here, named by its full path, can be read by file() on both kinds of server.
        os.makedirs(os.path.join(self.data_dir, "user_files"), exist_ok=True)
        log_path = self.bed.file("log", f"{self.name}.server.log")
        more = config.more_users(self.bed.file("more-users.json"))
        config.write_xml(self.users_path(), config.users(self.bed.state["password"], more))
        config.write_xml(self.config_path(), {**config.shared_part(self.bed, log_path), **self.own_config()})

    def argv(self):
        return [*config.wrapper(), self.program, "server", f"--config-file={self.config_path()}"]

    def env(self):
        return {"CLICKHOUSE_WATCHDOG_ENABLE": "0"}

    def _query(self, sql, method="GET", timeout=PROBE_SECS):
        return _get(f"{self.bed.http_url(self.number)}/?query={quote(sql)}", method, timeout)

    def answers(self):
        answer = self._query("SELECT 1")
        return bool(answer) and answer[1] == b"1\n"

    def complete(self):
        """The first flush creates the log tables, so that nobody finds them missing."""
        answer = self._query("SYSTEM FLUSH LOGS", method="POST", timeout=30)
        if not answer or answer[0] != 200:
            warn(f"{self.name}: SYSTEM FLUSH LOGS did not work: {answer and answer[1][:300]!r}")


class EmbeddedClickHouse(ClickHouse):
    """The engine library, which starts its listeners by a query and then sleeps in another one."""

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
        self.library = packages.program("chdb")

    def own_config(self):
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
        runner = os.path.join(os.path.dirname(__file__), "chdb_server.py")
        return [
            *config.wrapper(),
            sys.executable,
            "-IBS",
            runner,
            self.library,
            f"--config-file={self.config_path()}",
            "--log-level=information",
            f"--path={self.data_dir}",
            f"--http_port={self.bed.ports[f'http-{self.number}']}",
            f"--tcp_port={self.bed.ports[f'tcp-{self.number}']}",
            f"--query={self.SERVE}",
        ]


# --- S3 ----------------------------------------------------------------------------------------


class SeaweedFS(Server):
    name = "seaweedfs"
    # Its own orderly stop takes 15 s and changes nothing on disk.
    grace_secs = 0.5

    def port_names(self):
        http = ["s3", "s3-filer", "s3-master", "s3-volume"]
        return http + [f"{name}-grpc" for name in http]

    def install(self):
        self.weed = packages.program("seaweedfs")

    def prepare(self):
        identity = {
            "name": "longshore",
            "credentials": [
                {
                    "accessKey": self.bed.s3["access_key_id"],
                    "secretKey": self.bed.s3["secret_access_key"],
                }
            ],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        path = self.bed.file("s3.json")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            json.dump({"identities": [identity]}, f)

    def argv(self):
        port = self.bed.ports
        return [
            self.weed,
            "-logtostderr=true",
            "server",
            "-ip=127.0.0.1",
            f"-dir={self.data_dir}",
            f"-master.port={port['s3-master']}",
            f"-master.port.grpc={port['s3-master-grpc']}",
            # It elects itself at once. Otherwise the volume server may ask too early and wait 5 s more.
            "-master.peers=none",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024",
            f"-volume.port={port['s3-volume']}",
            f"-volume.port.grpc={port['s3-volume-grpc']}",
            "-volume.max=200",
            "-volume.minFreeSpace=200MiB",
            "-volume.preStopSeconds=0",
            "-filer",
            f"-filer.port={port['s3-filer']}",
            f"-filer.port.grpc={port['s3-filer-grpc']}",
            # Relative to the data folder: a socket's path may be 107 bytes long only.
            "-filer.localSocket=filer.sock",
            "-s3",
            f"-s3.port={port['s3']}",
            f"-s3.port.grpc={port['s3-grpc']}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.localSocket=s3.sock",
            f"-s3.config={self.bed.file('s3.json')}",
        ]

    def env(self):
        # Two volumes a bucket are enough, and its limits keep it small.
        return {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "2", "GOMEMLIMIT": "512MiB"}

    def _master_status(self):
        answer = _get(f"http://127.0.0.1:{self.bed.ports['s3-master']}/dir/status")
        return json.loads(answer[1]) if answer and answer[0] == 200 else {}

    def answers(self):
        if not _get(self.bed.s3_endpoint):
            return False
        topology = self._master_status().get("Topology") or {}
        centers = topology.get("DataCenters") or []
        # Before the volume server has reported to the master, every write fails.
        return any(rack.get("DataNodes") for center in centers for rack in center.get("Racks") or [])

    def complete(self):
        """A bucket is a folder under /buckets; the S3 gateway sees it at once."""
        url = f"http://127.0.0.1:{self.bed.ports['s3-filer']}/buckets/{self.bed.s3['bucket']}/"
        for _ in range(50):
            answer = _get(url, method="POST", timeout=10)
            if answer and (answer[0] < 300 or answer[0] == 409):  # 409: it exists
                return
        raise OSError(f"the bucket {self.bed.s3['bucket']} could not be created: {answer}")


def servers(bed):
    """All servers of a bed, in the order in which they are started."""
    if bed.engine == "clickhouse":
        coordination, engine = Keeper, ClickHouse
    else:
        coordination, engine = ZooKeeper, EmbeddedClickHouse
    return [coordination(bed), SeaweedFS(bed), *(engine(bed, n + 1) for n in range(bed.servers))]

    def clean_up(self):
        for part in ("master", "volume", "filer", "s3"):
            port = self.bed.ports.get("s3-grpc" if part == "s3" else f"s3-{part}-grpc")
            with suppress(FileNotFoundError):
                os.remove(f"/tmp/seaweedfs-{part}-grpc-{port}.sock")
