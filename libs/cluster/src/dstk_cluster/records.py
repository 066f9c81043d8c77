"""The format of the map in etcd: JSON with a version, readable for people and for later versions of this program.

/dstk/<cluster>/cluster               {"version", "uid"}: written once; binds data directories to their cluster
/dstk/<cluster>/secret                {"version", "secret"}: written once; authenticates calls between storage nodes
/dstk/<cluster>/map                   {"version", "next_id"}: exists once the cluster is bootstrapped
/dstk/<cluster>/bootstrap             the lock of the node that creates the map; under a lease
/dstk/<cluster>/partitions/<id>       {"version", "start", "end", "epoch", "primary", "replicas", "in_sync"}; keys in hex;
                                      after a split {"split_off": parent}, after a merge {"merged": [epoch, lower's
                                      position, upper's id, upper's position]}
/dstk/<cluster>/nodes/<id>            {"version", "address", "zone", "state", "capacity_bytes", "software",
                                      "incarnation"}; under the node's lease
/dstk/<cluster>/engines/<id>          {"version", "engine", "mark"}: which engine holds the node's data (engines.py)
/dstk/<cluster>/services/<kind>/<id>  {"version", "address", "software", "console"}: a service of that kind, such as metrics;
                                      under the service's lease (services.py)
"""

import json
from functools import lru_cache
from typing import Any

from dstk_cluster.model import LogPosition, Merged, NodeInfo, NodeState, Origin, PartitionInfo, SplitOff
from dstk_keytypes import KeyRange, NodeId, PartitionId

VERSION = 1
SHARED = 10_000
"""Groups of nodes that partitions share in memory."""


class Keys:
    """The etcd keys of one cluster."""

    def __init__(self, cluster: str) -> None:
        self.root = f"/dstk/{cluster}/".encode()
        self.cluster = self.root + b"cluster"
        self.secret = self.root + b"secret"
        self.map = self.root + b"map"
        self.lock = self.root + b"bootstrap"
        self.partitions = self.root + b"partitions/"
        self.nodes = self.root + b"nodes/"
        self.engines = self.root + b"engines/"

    def services(self, kind: str) -> bytes:
        """Returns the prefix of the registrations of a kind of service."""
        return self.root + f"services/{kind}/".encode()

    def service(self, kind: str, service: str) -> bytes:
        """Returns the key of a service's registration."""
        return self.services(kind) + service.encode()

    def partition(self, partition: PartitionId) -> bytes:
        """Returns the key of a partition. Ids are padded, so that keys sort by id."""
        return self.partitions + f"{partition:020d}".encode()

    def node(self, node: NodeId) -> bytes:
        """Returns the key of a node's registration."""
        return self.nodes + node.encode()

    def engine(self, node: NodeId) -> bytes:
        """Returns the key of the engine that holds the node's data."""
        return self.engines + node.encode()

    def partition_id(self, key: bytes) -> PartitionId:
        """Returns the partition id in a key; the inverse of `partition`."""
        return PartitionId(int(key.removeprefix(self.partitions)))

    def node_id(self, key: bytes) -> NodeId:
        """Returns the node id in a key; the inverse of `node`."""
        return NodeId(key.removeprefix(self.nodes).decode())


def dump(**fields: object) -> bytes:
    """Encodes fields, with the version of the format."""
    return json.dumps({"version": VERSION, **fields}).encode()


def load(raw: bytes) -> dict[str, Any]:
    """Decodes the fields of a value. Raises ValueError for an unknown version, and for what is no JSON object."""
    fields: dict[str, Any] = json.loads(raw)
    version = fields.get("version") if isinstance(fields, dict) else None
    if version != VERSION:
        raise ValueError(f"etcd holds a value of version {version!r}, and this program reads version {VERSION}")
    return fields


def dump_partition(partition: PartitionInfo) -> bytes:
    """Encodes a partition."""
    end = None if partition.range.end is None else partition.range.end.hex()
    return dump(
        start=partition.range.start.hex(),
        end=end,
        epoch=partition.epoch,
        primary=partition.primary,
        replicas=partition.replicas,
        in_sync=partition.in_sync,
        **_dump_origin(partition.origin),
    )


def load_partition(partition_id: PartitionId, raw: bytes) -> PartitionInfo:
    """Decodes a partition."""
    fields = load(raw)
    end = None if fields["end"] is None else bytes.fromhex(fields["end"])
    return PartitionInfo(
        partition_id,
        KeyRange(bytes.fromhex(fields["start"]), end),
        int(fields["epoch"]),
        _nodes((fields["primary"],))[0],
        _nodes(tuple(fields["replicas"])),
        _nodes(tuple(fields["in_sync"])),
        _load_origin(fields),
    )


@lru_cache(SHARED)
def _nodes(names: tuple[str, ...]) -> tuple[NodeId, ...]:
    """The ids of nodes. Partitions with the same nodes share them: 100,000 partitions take 28 MB rather than 115."""
    return tuple(map(NodeId, names))


def _dump_origin(origin: Origin | None) -> dict[str, object]:
    match origin:
        case SplitOff(parent):
            return {"split_off": parent}
        case Merged(epoch, lower_at, upper, upper_at):
            return {"merged": [epoch, lower_at, upper, upper_at]}
    return {}


def _load_origin(fields: dict[str, Any]) -> Origin | None:
    if "split_off" in fields:
        return SplitOff(PartitionId(fields["split_off"]))
    if "merged" in fields:
        epoch, lower_at, upper, upper_at = fields["merged"]
        return Merged(epoch, LogPosition(*lower_at), PartitionId(upper), LogPosition(*upper_at))
    return None


def dump_node(node: NodeInfo) -> bytes:
    """Encodes a node."""
    return dump(
        address=node.address,
        zone=node.zone,
        state=node.state,
        capacity_bytes=node.capacity_bytes,
        software=node.version,
        incarnation=node.incarnation,
    )


def load_node(node_id: NodeId, raw: bytes) -> NodeInfo:
    """Decodes a node."""
    fields = load(raw)
    return NodeInfo(
        node_id,
        fields["address"],
        fields["zone"],
        NodeState(fields["state"]),
        int(fields["capacity_bytes"]),
        fields["software"],
        fields["incarnation"],
    )
