"""HAProxy in front of all ClickHouse servers of a bed."""

from . import packages, process
from .server import Server, get

CHECK_EVERY = "500ms"
# A query with its text in the address must fit.
BUFFER_BYTES = 131072

CONFIG = """\
global
    maxconn 1000
    tune.bufsize {buffer}
    log stdout format raw daemon notice

defaults
    mode http
    log global
    timeout connect 2s
    timeout check 2s
    timeout client 1h
    timeout server 1h
    # A request that could not even be sent goes to another server. One that was sent is never repeated.
    retries 1
    option redispatch 1

frontend clickhouse
    bind 127.0.0.1:{port}
    default_backend servers

backend servers
    balance roundrobin
    # One connection to a server for each request, so that no request meets one that the server closes.
    option http-server-close
    option httpchk GET /ping
    http-check expect string Ok.
    default-server check inter {every} fall 2 rise 1
{servers}

frontend stats
    bind 127.0.0.1:{stats_port}
    stats enable
    stats uri /
"""


class Balancer(Server):
    name = "balancer"
    grace_secs = 1

    def port_names(self):
        return ["balancer", "balancer-stats"]

    def refers_to(self, other):
        return other.name.startswith("clickhouse-")

    def starts_after(self, other):
        return self.refers_to(other)

    def install(self):
        self.program = packages.program_of_debian("haproxy", "haproxy")

    def config_path(self):
        return self.bed.file("haproxy.cfg")

    def prepare(self):
        addresses = [(n, self.bed.ports[f"http-{n}"]) for n in range(1, self.bed.servers + 1)]
        text = CONFIG.format(
            port=self.port,
            stats_port=self.bed.ports["balancer-stats"],
            buffer=BUFFER_BYTES,
            every=CHECK_EVERY,
            servers="\n".join(f"    server clickhouse-{n} 127.0.0.1:{port}" for n, port in addresses),
        )
        with open(self.config_path(), "w", encoding="ascii") as f:
            f.write(text)

    def argv(self):
        # -db: no fork, so that the process is the one written down.
        return [self.program, "-db", "-f", self.config_path()]

    def _servers_up(self):
        """Names of the servers that passed its last check, or None when it does not answer."""
        answer = get(f"http://127.0.0.1:{self.bed.ports['balancer-stats']}/;csv")
        if not answer or answer[0] != 200:
            return None
        lines = answer[1].decode().removeprefix("# ").splitlines()
        head = lines[0].split(",")
        rows = [dict(zip(head, line.split(","))) for line in lines[1:]]
        # The status alone says UP before the first check.
        return {row["svname"] for row in rows if row["status"].startswith("UP") and "L7OK" in row["check_status"]}

    def answers(self):
        names = [f"clickhouse-{n}" for n in range(1, self.bed.servers + 1)]
        running = any(process.alive(self.bed.process(name)) for name in names)
        up = self._servers_up()
        return up is not None and (bool(up) or not running)
