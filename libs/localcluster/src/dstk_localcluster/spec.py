"""What the caller asks of a local cluster."""

from dataclasses import dataclass

from dstk_keytypes import InvalidInput, Key
from dstk_localcluster.errors import InvalidSpec

DEFAULT_NODES = 3
MAX_NODES = 32
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A cluster to run. None or empty: as the data directory remembers it, or the default of a new cluster.

    `nodes`: storage nodes, 1..32, 3 by default; an existing cluster can only grow. `router_port`, and `console_port` of the
    web page: 1..65535, any free port by default. `splits`: borders between the partitions of a new cluster, as `Key.parse`
    reads them; by default one partition a node. `cluster`: the name of a new cluster; an existing one keeps its name.
    `metrics`: run the metrics service, with its web page. `observability`: also run those of Prometheus, Alertmanager and
    Jaeger that are on PATH. Neither of the two is remembered.
    """

    nodes: int | None = None
    router_port: int | None = None
    splits: tuple[str, ...] = ()
    cluster: str = "local"
    console_port: int | None = None
    metrics: bool = True
    observability: bool = False


def ascending(splits: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the borders once each, in the order of their keys. Raises `InvalidInput` for what is no key."""
    return tuple(sorted(set(splits), key=Key.parse))


def check(spec: ClusterSpec) -> None:
    """Raises `InvalidSpec` for a field that is out of bounds whatever the data directory holds."""
    if spec.nodes is not None and not 1 <= spec.nodes <= MAX_NODES:
        raise InvalidSpec("nodes", f"{spec.nodes} is out of bounds", f"give 1..{MAX_NODES}")
    for field in ("router_port", "console_port"):
        port = getattr(spec, field)
        if port and not 1 <= port <= MAX_PORT:
            raise InvalidSpec(field, f"{port} is out of bounds", f"give 1..{MAX_PORT}")
    try:
        ascending(spec.splits)
    except InvalidInput as error:
        raise InvalidSpec("splits", f"holds what is no key: {error}", "give keys as `dstk put` reads them") from error
