"""What of an operator's call is refused by itself: the field, the value and the limit are named."""

from collections.abc import Callable
from typing import Any

import pytest
from kit.refusals import check_refusal

from dstk.v1 import admin_pb2
from dstk_keytypes import limits
from dstk_service import admin_requests, controller_settings

LONG = bytes(limits.MAX_KEY_BYTES + 1)
DRAINED, CORDONED = admin_pb2.DESIRED_STATE_DRAINED, admin_pb2.DESIRED_STATE_CORDONED


def settings(*fields: str, **values: Any) -> admin_pb2.SetControllerRequest:
    names = fields or tuple(values)
    return admin_pb2.SetControllerRequest(settings=admin_pb2.ControllerSettings(**values), fields=names)


def desired(**fields: Any) -> admin_pb2.SetDesiredStateRequest:
    return admin_pb2.SetDesiredStateRequest(**{"node": "storage-1", "desired_state": DRAINED, **fields})


REFUSED: list[tuple[Callable[[Any], None], Any, str]] = [
    (admin_requests.split, admin_pb2.SplitPartitionRequest(), "partition_id"),
    (admin_requests.split, admin_pb2.SplitPartitionRequest(at=LONG), "at"),
    (admin_requests.split, admin_pb2.SplitPartitionRequest(at=b"k", partition_id=3), "partition_id"),
    (admin_requests.split, admin_pb2.SplitPartitionRequest(at=b"k", by_load=True), "by_load"),
    (admin_requests.merge, admin_pb2.MergePartitionsRequest(), "at"),
    (admin_requests.merge, admin_pb2.MergePartitionsRequest(at=LONG), "at"),
    (admin_requests.replica, admin_pb2.AddReplicaRequest(node="storage-1"), "partition_id"),
    (admin_requests.replica, admin_pb2.AddReplicaRequest(partition_id=1), "node"),
    (admin_requests.replica, admin_pb2.RemoveReplicaRequest(partition_id=1, node="Storage_1"), "node"),
    (admin_requests.replica, admin_pb2.RemoveReplicaRequest(partition_id=1, node="n" * 65), "node"),
    (admin_requests.transfer, admin_pb2.TransferPrimaryRequest(), "partition_id"),
    (admin_requests.transfer, admin_pb2.TransferPrimaryRequest(partition_id=1, node="a b"), "node"),
    (admin_requests.repair, admin_pb2.RepairPartitionRequest(apply=True), "partition_id"),
    (admin_requests.force, admin_pb2.ForcePrimaryRequest(partition_id=1), "node"),
    (admin_requests.force, admin_pb2.ForcePrimaryRequest(node="storage-1"), "partition_id"),
    (admin_requests.loads, admin_pb2.ListLoadsRequest(), "node"),
    (admin_requests.loads, admin_pb2.ListLoadsRequest(node="storage-1", session="s" * 65), "session"),
    (admin_requests.desired_state, desired(node=""), "node"),
    (admin_requests.desired_state, desired(desired_state=0), "desired_state"),
    (admin_requests.desired_state, desired(desired_state=9), "desired_state"),
    (admin_requests.desired_state, desired(replacement="X"), "replacement"),
    (admin_requests.desired_state, desired(desired_state=CORDONED, replacement="storage-2"), "replacement"),
    (admin_requests.desired_state, desired(replacement="storage-1"), "replacement"),
    (admin_requests.settings, settings(), "fields"),
    (admin_requests.settings, settings("pausd"), "fields"),
    (admin_requests.settings, settings("replicas"), "replicas"),
    (admin_requests.settings, settings(replicas=8), "replicas"),
    (admin_requests.settings, settings(gone_seconds=0.5), "gone_seconds"),
    (admin_requests.settings, settings(gone_seconds=float("nan")), "gone_seconds"),
    (admin_requests.settings, settings(split_bytes=1024), "split_bytes"),
    (admin_requests.settings, settings(split_operations=99), "split_operations"),
    (admin_requests.settings, settings(merge_share=0.6), "merge_share"),
    (admin_requests.settings, settings(moves_at_once=33), "moves_at_once"),
    (admin_requests.events, admin_pb2.ListEventsRequest(), "limit"),
    (admin_requests.events, admin_pb2.ListEventsRequest(limit=1001), "limit"),
]


@pytest.mark.parametrize(("check", "request_", "field"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_out_of_bounds_is_refused_with_field_value_and_limit(
    check: Callable[[Any], None], request_: Any, field: str
) -> None:
    check_refusal(check, request_, field)


ACCEPTED: list[tuple[Callable[[Any], None], Any]] = [
    (admin_requests.split, admin_pb2.SplitPartitionRequest(at=b"k")),
    (admin_requests.split, admin_pb2.SplitPartitionRequest(partition_id=1, by_load=True)),
    (admin_requests.merge, admin_pb2.MergePartitionsRequest(at=bytes(limits.MAX_KEY_BYTES))),
    (admin_requests.replica, admin_pb2.AddReplicaRequest(partition_id=1, node="n" * 64)),
    (admin_requests.transfer, admin_pb2.TransferPrimaryRequest(partition_id=2**64 - 1)),
    (admin_requests.repair, admin_pb2.RepairPartitionRequest(partition_id=1)),
    (admin_requests.force, admin_pb2.ForcePrimaryRequest(partition_id=1, node="-")),
    (admin_requests.desired_state, desired(replacement="storage-2")),
    (admin_requests.desired_state, desired(desired_state=admin_pb2.DESIRED_STATE_ACTIVE)),
    (admin_requests.settings, settings("paused")),
    (admin_requests.settings, settings("paused", replicas=99)),
    (admin_requests.settings, settings(replicas=7, gone_seconds=86_400, split_bytes=1 << 40, moves_at_once=32)),
    (admin_requests.settings, settings(replicas=1, gone_seconds=1, split_bytes=1 << 20, moves_at_once=1)),
    (admin_requests.settings, settings("merge_share", "split_operations", split_operations=1e9)),
    (admin_requests.settings, settings(merge_share=0.5, split_operations=100)),
    (admin_requests.events, admin_pb2.ListEventsRequest(limit=1000)),
]


@pytest.mark.parametrize(("check", "request_"), ACCEPTED, ids=range(len(ACCEPTED)))
def test_the_bounds_themselves_are_allowed(check: Callable[[Any], None], request_: Any) -> None:
    check(request_)


def test_every_setting_of_the_contract_has_its_bounds() -> None:
    assert list(controller_settings.BOUNDS) == [field.name for field in admin_pb2.ControllerSettings.DESCRIPTOR.fields]
