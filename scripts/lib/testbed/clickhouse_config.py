"""Configuration of ClickHouse: what all engines are told, and what only some of them are told."""

import hashlib
import json
import os
from xml.etree import ElementTree

from . import tls
from .bed import CLUSTER
from .grants import USER, grants

KEEPER_MAP_PREFIX = "/longshore_keeper_map"
PEER_COLLECTION = "longshore_peer"
FIRST_COLLECTION = "longshore_first"
LOG_LEVEL = "information"
LOG_FLUSH_MILLISECONDS = 1_000
# They go through all tables of the server, and nobody here reads them.
METRICS_PERIOD_SECS = 60
LOG_OLD_PARTS_LIFETIME_SECS = 5
OLD_PARTS_LIFETIME_SECS = 480
# A DROP … SYNC that a kill interrupted is finished so many seconds later, and by default after 480.
DROP_DELAY_SECS = 10
SHUTDOWN_SECS = 1
MEMORY_BYTES_DEFAULT = 5 << 30


def write_xml(path, tree, mode=0o600):
    """Write nested dicts and lists (a list repeats its element) as a ClickHouse config file."""
    root = ElementTree.Element("clickhouse")
    _fill(root, tree)
    ElementTree.indent(root)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as f:
        ElementTree.ElementTree(root).write(f)


def _fill(parent, tree):
    for name, value in tree.items():
        for item in value if isinstance(value, list) else [value]:
            child = ElementTree.SubElement(parent, name)
            if isinstance(item, dict):
                _fill(child, item)
            else:
                child.text = str(item)


def memory_bytes(servers):
    """The limit of one server: 5 GiB, or less on a small machine so that tests beside it survive."""
    override = os.environ.get("LONGSHORE_TESTBED_MEMORY_BYTES")
    if override:
        return int(override)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(MEMORY_BYTES_DEFAULT, machine * 6 // 10 // servers)


def default_profile():
    """Settings of every statement: a test may want a server that soon gives up asking its Keeper."""
    retries = os.environ.get("LONGSHORE_TESTBED_KEEPER_RETRIES")
    return {"keeper_max_retries": int(retries)} if retries else {}


def wrapper():
    """What a test puts before the server's command line, such as a tracer that slows it down."""
    return os.environ.get("LONGSHORE_TESTBED_CLICKHOUSE_WRAPPER", "").split()


def keeper_nodes(bed):
    """Where the server looks for the Keeper: a test may have put a proxy between the two."""
    proxy = os.environ.get("LONGSHORE_TESTBED_KEEPER_PORT")
    return [{"host": "127.0.0.1", "port": port} for port in ([proxy] if proxy else bed.keeper_ports())]


def log_table(name):
    return {
        "database": "system",
        "table": name,
        "flush_interval_milliseconds": LOG_FLUSH_MILLISECONDS,
        # Many small parts: without this their remains would pile up for minutes.
        "settings": f"old_parts_lifetime = {LOG_OLD_PARTS_LIFETIME_SECS}",
    }


def far_server(bed, number):
    return {
        "host": "127.0.0.1",
        "port": bed.ports[f"tcp-{number}"],
        "user": USER,
        "password": bed.state["password"],
    }


def shared_part(bed, log_path):
    """What every engine is told."""
    return {
        "logger": {
            "level": LOG_LEVEL,
            "log": log_path,
            "errorlog": log_path.removesuffix(".log") + ".err.log",
            "size": "50M",
            "count": 2,
        },
        "listen_host": "127.0.0.1",
        "keeper_map_path_prefix": KEEPER_MAP_PREFIX,
        "zookeeper": {
            "node": keeper_nodes(bed),
            "session_timeout_ms": 6000,
            "operation_timeout_ms": 3000,
            # A library that is no whole server has no identity of its own: with one path two servers
            # end each other's sessions.
            "sessions_path": "/clickhouse/sessions/" + os.path.basename(log_path),
        },
        "query_log": log_table("query_log"),
        "query_views_log": log_table("query_views_log"),
        # It records its own flushes and merges too, so an idle server is busy with it: only for who asks.
        **({"part_log": log_table("part_log")} if os.environ.get("LONGSHORE_TESTBED_PART_LOG") else {}),
        "asynchronous_metrics_update_period_s": METRICS_PERIOD_SECS,
        "merge_tree": {"old_parts_lifetime": OLD_PARTS_LIFETIME_SECS},
        "database_atomic_delay_before_drop_table_sec": DROP_DELAY_SECS,
        "max_server_memory_usage": memory_bytes(bed.servers),
        "named_collections": {
            bed.s3["collection"]: {
                "url": f"{bed.s3_endpoint}/{bed.s3['bucket']}/",
                "access_key_id": bed.s3["access_key_id"],
                "secret_access_key": bed.s3["secret_access_key"],
            },
            # The first and the last server of the bed as others, for copies through remote().
            FIRST_COLLECTION: far_server(bed, 1),
            PEER_COLLECTION: far_server(bed, bed.servers),
        },
    }


def embedded_part(users_path):
    """What only a library without the whole server needs; its paths and ports are arguments."""
    return {"users_config": users_path}


def module_part(bed, number, data_dir, users_path):
    """The same for a library that takes no arguments."""
    return {
        **embedded_part(users_path),
        "path": data_dir + "/",
        "http_port": bed.ports[f"http-{number}"],
        "tcp_port": bed.ports[f"tcp-{number}"],
        "log-level": LOG_LEVEL,
    }


def server_part(bed, number, data_dir, users_path):
    """What only a whole server needs."""
    return {
        "path": data_dir + "/",
        "tmp_path": os.path.join(data_dir, "tmp") + "/",
        "user_files_path": os.path.join(data_dir, "user_files") + "/",
        "format_schema_path": os.path.join(data_dir, "format_schemas") + "/",
        "mlock_executable": "false",
        # How long a stop waits for clients that keep connections open.
        "shutdown_wait_unfinished": SHUTDOWN_SECS,
        "http_port": bed.ports[f"http-{number}"],
        "https_port": bed.ports[f"https-{number}"],
        "tcp_port": bed.ports[f"tcp-{number}"],
        "openSSL": {
            "server": {
                "certificateFile": tls.certificate_path(bed),
                "privateKeyFile": tls.key_path(bed),
                "verificationMode": "none",
                "loadDefaultCAFile": "false",
            }
        },
        "interserver_http_host": "127.0.0.1",
        "interserver_http_port": bed.ports[f"interserver-{number}"],
        "interserver_http_credentials": {"user": "interserver", "password": bed.secret("interserver")},
        "macros": {"cluster": CLUSTER, "shard": bed.shard_of(number), "replica": f"clickhouse-{number}"},
        "user_directories": {
            "users_xml": {"path": users_path},
            "local_directory": {"path": os.path.join(data_dir, "access") + "/"},
        },
        "distributed_ddl": {"path": "/clickhouse/task_queue/ddl"},
        "remote_servers": {CLUSTER: {"secret": bed.secret("cluster"), "shard": _shards(bed)}},
    }


def _shards(bed):
    """With the secret, a query runs on the other servers as the user who gave it."""
    replicas = {}
    for number in range(1, bed.servers + 1):
        replica = {"host": "127.0.0.1", "port": bed.ports[f"tcp-{number}"]}
        replicas.setdefault(bed.shard_of(number), []).append(replica)
    return [{"internal_replication": "true", "replica": nodes} for nodes in replicas.values()]


def more_users(path):
    """Users that a test asks for beside the two of every bed: a JSON file, name to list of grants."""
    if not os.path.exists(path):
        return {}
    with open(path) as f:
        return json.load(f)


def users(engine, password, more):
    """The administrator `default` (loopback, no password), the least-privilege user, and `more`.

    All but the administrator have the same password.
    """
    networks = {"ip": ["127.0.0.1", "::1"]}
    common = {"networks": networks, "profile": "default", "quota": "default"}
    limited = {USER: [f"GRANT {grant}" for grant in grants(engine)], **more}
    return {
        "profiles": {"default": default_profile()},
        "quotas": {"default": {}},
        "users": {
            # The session that starts an embedded engine logs in as this user: its password must stay empty.
            "default": {
                "password": "",
                **common,
                "access_management": 1,
                "named_collection_control": 1,
                "show_named_collections": 1,
                "show_named_collections_secrets": 1,
            },
            **{
                name: {
                    "password_sha256_hex": hashlib.sha256(password.encode()).hexdigest(),
                    **common,
                    "grants": {"query": grants},
                }
                for name, grants in limited.items()
            },
        },
    }


def keeper_part(bed, data_dir, log_path):
    """A one-node `clickhouse keeper`, the stand-in for ZooKeeper beside a real server."""
    return {
        "logger": {"level": "information", "log": log_path, "size": "50M", "count": 2},
        "listen_host": "127.0.0.1",
        "keeper_server": {
            "tcp_port": bed.ports["keeper"],
            "server_id": 1,
            "storage_path": data_dir,
            "four_letter_word_white_list": "ruok,srvr,mntr",
            "coordination_settings": {
                "operation_timeout_ms": 3000,
                "min_session_timeout_ms": 1000,
                "session_timeout_ms": 60000,
                "raft_logs_level": "warning",
            },
            "raft_configuration": {
                "server": {"id": 1, "hostname": "127.0.0.1", "port": bed.ports["keeper-raft"]}
            },
        },
    }
