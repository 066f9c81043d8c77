"""The adapters of the controller's ClusterReader and Executor: Admin calls to the storage nodes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from typing_extensions import override

from dstk.v1 import admin_pb2
from dstk_client.admin import AdminClient, AdminLinks
from dstk_cluster.events import ORIGIN_METADATA, Origin
from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_cluster.view import CurrentMap
from dstk_keytypes import NodeId, PartitionId
from dstk_service.errors import DstkError
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.port import Connector
from dstk_storage.domain.controller.model import Action, Follower, Step
from dstk_storage.domain.controller.ports import (
    ClusterReader,
    ClusterSample,
    Executor,
    PartitionSample,
    StepFailed,
    StepResult,
)

SAMPLE_SECONDS: Final = 1.5
"""How long one node may take to report its figures."""

STEP_SECONDS: Final = 20.0
"""How long a step may take. No step waits for a snapshot."""

_NO_MAP: Final = ClusterMap(0, "", "", (), {})


def controller_links(connector: Connector, credentials: OperatorCredentials) -> AdminLinks:
    """Links whose calls nodes list among the events as the controller's."""
    return AdminLinks(connector, credentials, STEP_SECONDS, ((ORIGIN_METADATA, str(Origin.CONTROLLER)),))


class AdminClusterReader(ClusterReader):
    """Reads the figures of all nodes. A node that does not answer in time is missing from the sample."""

    def __init__(self, view: CurrentMap, links: AdminLinks) -> None:
        self._view, self._links = view, links

    @override
    def current(self) -> ClusterMap | None:
        return self._view.current

    @override
    async def sample(self) -> ClusterSample:
        current = self._view.current or _NO_MAP
        await self._links.keep({node.address for node in current.nodes.values()})
        answers = await asyncio.gather(*(self._ask(node.id, node.address) for node in current.nodes.values()))
        by_id = {info.id: info for info in current.partitions}
        read_only: set[NodeId] = set()
        samples: dict[PartitionId, PartitionSample] = {}
        for name, partitions, nodes in answers:
            read_only.update(name for status in nodes.nodes if status.node.id == name and status.read_only)
            samples.update(_samples(name, partitions, by_id))
        return ClusterSample(current, frozenset(read_only), samples)

    async def _ask(
        self, name: NodeId, address: str
    ) -> tuple[NodeId, admin_pb2.ListPartitionsResponse, admin_pb2.ListNodesResponse]:
        link = self._links.to(name, address)
        try:
            partitions, nodes = await asyncio.gather(
                link.call(lambda admin: admin.ListPartitions, admin_pb2.ListPartitionsRequest(), SAMPLE_SECONDS),
                link.call(lambda admin: admin.ListNodes, admin_pb2.ListNodesRequest(), SAMPLE_SECONDS),
            )
        except DstkError:
            return name, admin_pb2.ListPartitionsResponse(), admin_pb2.ListNodesResponse()
        return name, partitions, nodes


def _samples(
    node: NodeId, answer: admin_pb2.ListPartitionsResponse, by_id: Mapping[PartitionId, PartitionInfo]
) -> dict[PartitionId, PartitionSample]:
    """Returns the figures of the partitions that the node leads by this map.

    A partition with another range than in this map is left out: its figures belong to an older or newer map.
    """
    found = {}
    for status in answer.partitions:
        info = by_id.get(PartitionId(status.partition.id))
        if info is not None and status.known and info.primary == node and _same_range(info, status):
            found[info.id] = PartitionSample(
                node,
                info.range,
                status.estimated_bytes,
                status.estimated_records,
                status.reads + status.writes,
                {
                    NodeId(follower.node): Follower(follower.sequence, follower.silent_s, follower.needs_snapshot)
                    for follower in status.followers
                },
            )
    return found


def _same_range(info: PartitionInfo, status: admin_pb2.PartitionStatus) -> bool:
    return (info.range.start, info.range.end or b"") == (status.partition.start, status.partition.end)


class AdminExecutor(Executor):
    """Carries out steps: asks the primary of the partition, by this node's map."""

    def __init__(self, view: CurrentMap, links: AdminLinks) -> None:
        self._view, self._links = view, links

    @override
    async def execute(self, step: Step) -> StepResult:
        link = self._links.to(*self._primary(step.partition))
        try:
            return await _CALLS[step.action](link, step)
        except DstkError as error:
            raise StepFailed(f"{error.reason}: {error}") from error

    def _primary(self, number: PartitionId) -> tuple[NodeId, str]:
        current = self._view.current or _NO_MAP
        info = next((info for info in current.partitions if info.id == number), None)
        if info is None:
            raise StepFailed(f"there is no partition {number} any more")
        if info.primary not in current.nodes:
            raise StepFailed(f"{info.primary}, the primary, is not alive")
        return info.primary, current.nodes[info.primary].address


async def _split(admin: AdminClient, step: Step) -> StepResult:
    halves = await admin.split(partition_id=step.partition, by_load=step.by_load)
    return StepResult(PartitionId(halves.upper.id))


async def _merge(admin: AdminClient, step: Step) -> StepResult:
    await admin.merge(step.at)
    return StepResult(step.upper)


async def _add(admin: AdminClient, step: Step) -> StepResult:
    await admin.add_replica(step.partition, step.node or "")
    return StepResult()


async def _remove(admin: AdminClient, step: Step) -> StepResult:
    await admin.remove_replica(step.partition, step.node or "")
    return StepResult()


async def _transfer(admin: AdminClient, step: Step) -> StepResult:
    await admin.transfer(step.partition, step.node or "")
    return StepResult()


_CALLS: Final[Mapping[Action, Callable[[AdminClient, Step], Awaitable[StepResult]]]] = {
    Action.SPLIT: _split,
    Action.MERGE: _merge,
    Action.ADD_REPLICA: _add,
    Action.REMOVE_REPLICA: _remove,
    Action.TRANSFER_PRIMARY: _transfer,
}
