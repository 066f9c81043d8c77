"""Which engine this is: what is written into it, and when its contents are not believed.

What a replica says of itself is true of what lies in its engine. Whether that is what it had written is another question: a
disk may come back empty, older, or as another node's. So the engine holds its identity, and the cluster (dstk_cluster.engines)
knows it, with a mark that the node raises in the engine first and in etcd second. An engine that is not the known one, or that
holds a lower mark, is another state of the disk than the one that the cluster counts on (R10).
"""

import json
import secrets
from dataclasses import asdict, dataclass

from dstk_cluster.engines import KnownEngine
from dstk_keytypes import NodeId


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """What an engine says of itself."""

    engine: str
    """16 hex digits, drawn when it was made."""
    node: NodeId
    """Whose it is."""
    cluster: str
    cluster_uid: str = ""
    """Empty until the node has met its cluster."""
    mark: int = 0
    """Raised at each start, at each ordered end, and now and then between; 0: the cluster does not know of it yet."""
    founding: bool = False
    """It is older than the partition map, so that what was made with the map begins empty here (R11)."""
    why: str = ""
    """Why it took the place of another engine; empty: it did not."""
    at_ms: int = 0
    """When it was made."""

    @classmethod
    def new(cls, node: NodeId, cluster: str, at_ms: int, why: str = "") -> "EngineIdentity":
        """Of an engine about to be made."""
        return cls(secrets.token_hex(8), node, cluster, why=why, at_ms=at_ms)

    @property
    def known(self) -> KnownEngine:
        """What the cluster is to know of it."""
        return KnownEngine(self.engine, self.mark)

    def encode(self) -> bytes:
        """JSON, so that people can read a data directory."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, raw: bytes) -> "EngineIdentity":
        """The reverse of `encode`. Raises ValueError, TypeError for anything else."""
        fields = json.loads(raw)
        return cls(**{**fields, "node": NodeId(fields["node"])})


def doubt(own: EngineIdentity, known: KnownEngine | None, me: NodeId, cluster_uid: str) -> str:
    """Why the engine's contents are not believed; empty: they are. `known`: what the cluster knows of this node's engine.

    One without a mark holds nothing yet that anybody was told of, and may take another's place.
    """
    if own.node != me:
        return f"the engine is node {own.node!r}'s"
    if own.cluster_uid not in ("", cluster_uid):
        return f"the engine is of the cluster with uid {own.cluster_uid!r}"
    if known is None:
        return ""
    if known.engine != own.engine:
        return f"engine {own.engine} was replaced by {known.engine} since it was written" if own.mark else ""
    if own.mark < known.mark:
        return f"the disk is older than it was: it holds mark {own.mark}, and the cluster was told of {known.mark}"
    return ""
