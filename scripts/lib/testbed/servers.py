"""The servers of a bed."""

from .balancer import Balancer
from .clickhouse import EmbeddedClickHouse, WholeServer
from .coordination import keepers
from .seaweedfs import SeaweedFS


def servers(bed):
    """All servers of a bed, in the order in which they are started."""
    clickhouse = WholeServer if bed.engine.is_server else EmbeddedClickHouse
    return [
        *keepers(bed),
        SeaweedFS(bed),
        *(clickhouse(bed, n) for n in range(1, bed.servers + 1)),
        *([Balancer(bed)] if bed.has_balancer else []),
    ]
