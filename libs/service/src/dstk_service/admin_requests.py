"""Checks of incoming Admin requests, the same on storage nodes and routers, and on the command line before anything is sent.

As in requests.py: every function returns None or raises `InvalidArgument`, which names the field, the value and the limit.
"""

from dstk.v1 import admin_pb2
from dstk_keytypes import InvalidInput, NodeId, limits
from dstk_service import requests
from dstk_service.errors import InvalidArgument, shown

MAX_EVENTS = 1000

_WISHES = "NONE, CORDONED, DRAINED or REMOVED"
_WITH_REPLACEMENT = {admin_pb2.NODE_WISH_DRAINED, admin_pb2.NODE_WISH_REMOVED}
_MIB, _TIB = 1 << 20, 1 << 40

SETTINGS: dict[str, tuple[float, float, str]] = {
    "paused": (0, 1, "true or false"),
    "replicas": (1, 7, "1..7 replicas"),
    "gone_seconds": (1, 86_400, "1..86400 seconds"),
    "split_bytes": (_MIB, _TIB, "1 MiB..1 TiB, which is 1048576..1099511627776 bytes"),
    "split_operations": (100, 1e9, "100..1000000000 operations a second"),
    "merge_share": (0, 0.5, "0 (never)..0.5"),
    "moves_at_once": (1, 32, "1..32 replicas"),
    "compare_hours": (0, 8760, "0 (never)..8760 hours"),
    "compare_bytes_per_second": (1 << 16, 1 << 30, "64 KiB..1 GiB, which is 65536..1073741824 bytes"),
}
"""The controller's settings: the least, the most, and both in words."""


def node(value: str, field: str = "node") -> None:
    """Refuses what is no node's id."""
    try:
        NodeId(value)
    except InvalidInput as error:
        raise InvalidArgument(field, error.value, error.limit) from None


def partition_id(value: int) -> None:
    """Refuses 0, which is also what a request says that names no partition."""
    if value < 1:
        raise InvalidArgument("partition_id", str(value), "at least 1")


def split(request: admin_pb2.SplitPartitionRequest) -> None:
    """Checks a split: at a key, or somewhere in the middle of a partition, and not both."""
    if not request.at:
        partition_id(request.partition_id)
        return
    requests.key(request.at, "at")
    if request.partition_id:
        raise InvalidArgument("partition_id", str(request.partition_id), "0 when `at` is given, which names it already")
    if request.by_load:
        raise InvalidArgument("by_load", "true", "false when `at` is given: there is no middle to be found")


def merge(request: admin_pb2.MergePartitionsRequest) -> None:
    """Checks a merge."""
    requests.key(request.at, "at")


def replica(request: admin_pb2.AddReplicaRequest | admin_pb2.RemoveReplicaRequest) -> None:
    """Checks a replica's coming or going."""
    partition_id(request.partition_id)
    node(request.node)


def transfer(request: admin_pb2.TransferPrimaryRequest) -> None:
    """Checks a transfer; it may leave the choice of the node open."""
    partition_id(request.partition_id)
    if request.node:
        node(request.node)


def repair(request: admin_pb2.RepairPartitionRequest) -> None:
    """Checks a repair."""
    partition_id(request.partition_id)


def force(request: admin_pb2.ForcePrimaryRequest) -> None:
    """Checks the forcing of a primary, which must name the node."""
    partition_id(request.partition_id)
    node(request.node)


def compact(request: admin_pb2.CompactNodeRequest) -> None:
    """Checks a compaction: a node, a range that holds keys, and what an earlier answer gave."""
    node(request.node)
    for field in ("start", "end"):
        if bound := getattr(request, field):
            requests.key(bound, field)
    if request.end and request.end <= request.start:
        raise InvalidArgument("end", shown(request.end), f"above start, which is {shown(request.start)}")
    if len(request.resume) > limits.MAX_KEY_BYTES + 1:
        raise InvalidArgument("resume", shown(request.resume), "what the answer before gave")


def wish(request: admin_pb2.SetNodeWishRequest) -> None:
    """Checks a wish; only replicas that are to leave a node can have a node to go to, and not the same one."""
    node(request.node)
    if request.wish not in admin_pb2.NodeWish.values() or not request.wish:
        raise InvalidArgument("wish", str(request.wish), _WISHES)
    if not request.replacement:
        return
    node(request.replacement, "replacement")
    if request.wish not in _WITH_REPLACEMENT:
        raise InvalidArgument("replacement", repr(request.replacement), "empty unless the wish is DRAINED or REMOVED")
    if request.replacement == request.node:
        raise InvalidArgument("replacement", repr(request.replacement), "another node than the one that is replaced")


def settings(request: admin_pb2.SetControllerRequest) -> None:
    """Checks a change of settings; only those that are to be changed count."""
    if not request.fields:
        raise InvalidArgument("fields", "empty", f"at least one of {', '.join(SETTINGS)}")
    for field in request.fields:
        setting(field, getattr(request.settings, field, 0))


def setting(name: str, value: float) -> None:
    """Refuses a setting that there is not, and a value out of its bounds."""
    if name not in SETTINGS:
        raise InvalidArgument("fields", repr(name), f"one of {', '.join(SETTINGS)}")
    low, high, limit = SETTINGS[name]
    if not low <= value <= high:  # false for NaN too
        raise InvalidArgument(name, str(value), limit)


def events(request: admin_pb2.ListEventsRequest) -> None:
    """Checks how many events are asked for."""
    event_limit(request.limit)


def event_limit(value: int) -> None:
    """Refuses none and more than 1000 events."""
    if not 1 <= value <= MAX_EVENTS:
        raise InvalidArgument("limit", str(value), f"1..{MAX_EVENTS} events")
