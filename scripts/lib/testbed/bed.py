"""A bed: its folder, its ports and secrets, and what it remembers between commands.

Everything is in D/bed.json (mode 0600, replaced by rename), which also marks the folder as a bed.
"""

import json
import os
import secrets
import shutil
from contextlib import contextmanager
from hashlib import sha256

from . import engines, ports
from .report import BedError, NotRunning

FORMAT = 1
# The cluster of all servers in remote_servers, for ON CLUSTER.
CLUSTER = "longshore_bed"
# What a bed has when nobody asked: also the beds that were made before there was a choice.
SHAPE = {"servers": 1, "shards": None, "replicas": None, "keepers": 1, "keeper_heap": 256, "balancer": False}


def default_dir():
    repo = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))))
    return os.environ.get("LONGSHORE_TESTBED_DIR") or os.path.join(repo, ".testbed")


class Bed:
    def __init__(self, path, state):
        self.dir = path
        self.state = state

    # --- finding and making ---

    @classmethod
    def find(cls, path):
        """The bed in a folder, or None."""
        path = os.path.abspath(path)
        try:
            with open(os.path.join(path, ports.MARKER), encoding="utf-8") as f:
                state = json.load(f)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise BedError(f"{path}/{ports.MARKER} is not readable: {error}") from error
        if state.get("format") != FORMAT:
            raise BedError(f"{path} was made by another version of this script; remove it by hand")
        return cls(path, state)

    @classmethod
    def need(cls, path):
        bed = cls.find(path)
        if not bed:
            raise NotRunning(f"no test bed in {os.path.abspath(path)} (start one: scripts/testbed start)")
        return bed

    @classmethod
    def create(cls, path, engine, shape):
        path = os.path.abspath(path)
        if os.path.isdir(path) and os.listdir(path):
            raise BedError(f"{path} is not empty and is not a test bed; choose another folder")
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o700)
        state = {
            "format": FORMAT,
            "engine": engine.name,
            **shape,
            "password": secrets.token_urlsafe(18),
            "s3": {
                "bucket": "longshore",
                "collection": "longshore_bucket",
                "access_key_id": "LS" + secrets.token_hex(9).upper(),
                "secret_access_key": secrets.token_urlsafe(30),
            },
            "ports": {},
            "processes": {},
        }
        return cls(path, state)

    # --- what it holds ---

    @property
    def engine(self):
        return engines.find(self.state["engine"])

    @property
    def shape(self):
        """What was asked for when the bed was made: numbers of servers and keepers, the balancer."""
        return {name: self.state.get(name, usual) for name, usual in SHAPE.items()}

    @property
    def servers(self):
        return self.state["servers"]

    @property
    def replicas(self):
        """Servers of one shard. Servers made with --servers are shards of one replica each."""
        return self.shape["replicas"] or 1

    def shard_of(self, number):
        """Servers are numbered shard by shard."""
        return (number - 1) // self.replicas + 1

    @property
    def keepers(self):
        return self.shape["keepers"]

    @property
    def keeper_heap(self):
        """Memory of each ZooKeeper, in MiB: a znode and its data take about 1 KiB."""
        return self.shape["keeper_heap"]

    @property
    def has_balancer(self):
        return self.shape["balancer"]

    def secret(self, purpose):
        """A password that only servers of this bed know."""
        return sha256(f"{purpose} {self.state['password']}".encode()).hexdigest()

    def keeper_ports(self):
        """Client ports of the keepers. The first one is `keeper` whatever their number."""
        return [self.ports["keeper" if n == 1 else f"keeper-{n}"] for n in range(1, self.keepers + 1)]

    @property
    def ports(self):
        return self.state["ports"]

    @property
    def s3(self):
        return self.state["s3"]

    @property
    def s3_endpoint(self):
        return f"http://127.0.0.1:{self.ports['s3']}"

    def http_url(self, number):
        return f"http://127.0.0.1:{self.ports[f'http-{number}']}"

    def https_url(self, number):
        return f"https://127.0.0.1:{self.ports[f'https-{number}']}"

    @property
    def balancer_url(self):
        return f"http://127.0.0.1:{self.ports['balancer']}"

    def file(self, *parts):
        return os.path.join(self.dir, *parts)

    def log(self, name):
        return self.file("log", f"{name}.log")

    # --- what it remembers ---

    def process(self, name):
        return self.state["processes"].get(name)

    def remember_process(self, name, known):
        self.state["processes"][name] = known
        self.save()

    def save(self):
        new = self.file(f".{ports.MARKER}.new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            json.dump(self.state, f, indent=1)
            f.write("\n")
        os.replace(new, self.file(ports.MARKER))

    def choose_ports(self, names, avoid=()):
        """New ports for these names, written down before another bed can choose."""
        with ports.choosing():
            old = [self.ports[name] for name in names if name in self.ports]
            picked = ports.pick(self.dir, list(names), avoid=set(avoid) | set(old))
            if len(picked) < len(names):
                raise BedError("no free ports left on 127.0.0.1")
            self.ports.update(picked)
            self.save()
        ports.release(self.dir, old)

    def remove(self):
        """Delete the folder; the marker goes last, so an interrupted removal can be repeated."""
        held = list(self.ports.values())
        for entry in os.scandir(self.dir):
            if entry.name == ports.MARKER:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.remove(entry.path)
        os.remove(self.file(ports.MARKER))
        os.rmdir(self.dir)
        ports.release(self.dir, held)


@contextmanager
def exclusive(path):
    """One changing command a bed at a time. The lock is outside the folder, which wipe removes."""
    key = sha256(os.path.abspath(path).encode()).hexdigest()[:16]
    with ports.locked(os.path.join(ports.shared_dir(), f"bed-{key}.lock")):
        yield
