"""The servers of a bed."""

from .balancer import Balancer
from .clickhouse import EmbeddedClickHouse, WholeServer
from .coordination import Keeper, ZooKeeper
from .seaweedfs import SeaweedFS


def servers(bed):
    """All servers of a bed, in the order in which they are started."""
    clickhouse = WholeServer if bed.engine.is_server else EmbeddedClickHouse
    return [
        *_coordination(bed),
        SeaweedFS(bed),
        *(clickhouse(bed, n) for n in range(1, bed.servers + 1)),
        *([Balancer(bed)] if bed.has_balancer else []),
    ]


def _coordination(bed):
    # A library has no Keeper in it; the program of a machine has, and is used as one node.
    if not bed.engine.archive and bed.keepers == 1:
        return [Keeper(bed)]
    return [ZooKeeper(bed, n) for n in range(1, bed.keepers + 1)]
