"""Checks of Admin requests. Storage nodes, routers and the command line run the same checks.

As in requests.py, every function returns None or raises InvalidArgument, which names the field, the value and the limit.
"""

from dstk.v1 import admin_pb2
from dstk_keytypes import InvalidInput, NodeId, limits
from dstk_service import controller_settings, requests
from dstk_service.errors import InvalidArgument, shown

MAX_EVENTS = 1000
MAX_SESSION = 64

_DESIRED_STATES = "ACTIVE, CORDONED, DRAINED or REMOVED"
_LEAVING = {admin_pb2.DESIRED_STATE_DRAINED, admin_pb2.DESIRED_STATE_REMOVED}


def node(value: str, field: str = "node") -> None:
    """Raises InvalidArgument if the value is not a node id."""
    try:
        NodeId(value)
    except InvalidInput as error:
        raise InvalidArgument(field, error.value, error.limit) from None


def partition_id(value: int) -> None:
    """Raises InvalidArgument for 0, which a request holds when it names no partition."""
    if value < 1:
        raise InvalidArgument("partition_id", str(value), "at least 1")


def split(request: admin_pb2.SplitPartitionRequest) -> None:
    """Checks a split: either at a key or in the middle of a partition, not both."""
    if not request.at:
        partition_id(request.partition_id)
        return
    requests.key(request.at, "at")
    if request.partition_id:
        raise InvalidArgument(
            "partition_id", str(request.partition_id), "0 when `at` is given: the key names the partition"
        )
    if request.by_load:
        raise InvalidArgument(
            "by_load", "true", "false when `at` is given: it only chooses the split point in the middle"
        )


def merge(request: admin_pb2.MergePartitionsRequest) -> None:
    """Checks a merge."""
    requests.key(request.at, "at")


def replica(request: admin_pb2.AddReplicaRequest | admin_pb2.RemoveReplicaRequest) -> None:
    """Checks that a partition and a node are named."""
    partition_id(request.partition_id)
    node(request.node)


def transfer(request: admin_pb2.TransferPrimaryRequest) -> None:
    """Checks a transfer of the primary; naming the new primary is optional."""
    partition_id(request.partition_id)
    if request.node:
        node(request.node)


def repair(request: admin_pb2.RepairPartitionRequest) -> None:
    """Checks a repair."""
    partition_id(request.partition_id)


def force(request: admin_pb2.ForcePrimaryRequest) -> None:
    """Checks a forced primary; the node must be named."""
    partition_id(request.partition_id)
    node(request.node)


def loads(request: admin_pb2.ListLoadsRequest) -> None:
    """Checks a request for loads: the node, and the session of an earlier response."""
    node(request.node)
    if len(request.session) > MAX_SESSION:
        raise InvalidArgument("session", shown(request.session.encode()), "the value from the previous response")


def compact(request: admin_pb2.CompactNodeRequest) -> None:
    """Checks a compaction: the node, a range that is not empty, and the resume position of an earlier response."""
    node(request.node)
    for field in ("start", "end"):
        if bound := getattr(request, field):
            requests.key(bound, field)
    if request.end and request.end <= request.start:
        raise InvalidArgument("end", shown(request.end), f"above start, which is {shown(request.start)}")
    if len(request.resume) > limits.MAX_KEY_BYTES + 1:
        raise InvalidArgument("resume", shown(request.resume), "the value from the previous response")


def desired_state(request: admin_pb2.SetDesiredStateRequest) -> None:
    """Checks a desired state. Only a drained or removed node can have a replacement, which must be another node."""
    node(request.node)
    if request.desired_state not in admin_pb2.DesiredState.values() or not request.desired_state:
        raise InvalidArgument("desired_state", str(request.desired_state), _DESIRED_STATES)
    if not request.replacement:
        return
    node(request.replacement, "replacement")
    if request.desired_state not in _LEAVING:
        limit = "empty unless the desired state is DRAINED or REMOVED"
        raise InvalidArgument("replacement", repr(request.replacement), limit)
    if request.replacement == request.node:
        raise InvalidArgument("replacement", repr(request.replacement), "another node than the one that it replaces")


def settings(request: admin_pb2.SetControllerRequest) -> None:
    """Checks a change of settings. Only the settings that `fields` names are checked."""
    if not request.fields:
        raise InvalidArgument("fields", "empty", f"at least one of {', '.join(controller_settings.BOUNDS)}")
    for name in request.fields:
        controller_settings.check(name, getattr(request.settings, name, None))


def events(request: admin_pb2.ListEventsRequest) -> None:
    """Checks how many events the caller asks for."""
    event_limit(request.limit)


def event_limit(value: int) -> None:
    """Raises InvalidArgument outside 1..1000."""
    if not 1 <= value <= MAX_EVENTS:
        raise InvalidArgument("limit", str(value), f"1..{MAX_EVENTS} events")
