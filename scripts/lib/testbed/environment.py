"""The variables that `env` prints: how to reach the bed, and with which credentials."""

from . import tls
from .bed import CLUSTER
from .clickhouse_config import FIRST_COLLECTION, PEER_COLLECTION
from .grants import USER


def variables(bed):
    return {
        **_numbered("CLICKHOUSE_URL", bed, bed.http_url),
        **(_of_servers(bed) if bed.engine.is_server else {}),
        **({"CLICKHOUSE_BALANCER_URL": bed.balancer_url} if bed.has_balancer else {}),
        "CLICKHOUSE_NATIVE": f"127.0.0.1:{bed.ports['tcp-1']}",
        "CLICKHOUSE_USER": USER,
        "CLICKHOUSE_PASSWORD": bed.state["password"],
        "KEEPER_HOSTS": ",".join(f"127.0.0.1:{port}" for port in bed.keeper_ports()),
        "S3_ENDPOINT": bed.s3_endpoint,
        "S3_BUCKET": bed.s3["bucket"],
        "S3_ACCESS_KEY_ID": bed.s3["access_key_id"],
        "S3_SECRET_ACCESS_KEY": bed.s3["secret_access_key"],
        "S3_COLLECTION": bed.s3["collection"],
        "FIRST_COLLECTION": FIRST_COLLECTION,
        "PEER_COLLECTION": PEER_COLLECTION,
        "LONGSHORE_TESTBED_DIR": bed.dir,
    }


def _of_servers(bed):
    """What a library that is not a whole server cannot offer."""
    return {
        **_numbered("CLICKHOUSE_HTTPS_URL", bed, bed.https_url),
        "CLICKHOUSE_CA_FILE": tls.authority_path(bed),
        "CLICKHOUSE_CLUSTER": CLUSTER,
    }


def _numbered(name, bed, url):
    """NAME for the first server, NAME_2 and so on for the others."""
    return {name if n == 1 else f"{name}_{n}": url(n) for n in range(1, bed.servers + 1)}
