"""The servers of a bed."""

from .clickhouse import ClickHouse, EmbeddedClickHouse
from .coordination import Keeper, ZooKeeper
from .seaweedfs import SeaweedFS


def servers(bed):
    """All servers of a bed, in the order in which they are started."""
    if bed.engine == "clickhouse":
        coordination, engine = Keeper, ClickHouse
    else:
        coordination, engine = ZooKeeper, EmbeddedClickHouse
    return [coordination(bed), SeaweedFS(bed), *(engine(bed, n + 1) for n in range(bed.servers))]
