"""The adapters of the controller's ClusterReader and Executor: Admin calls to the storage nodes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import grpc
from typing_extensions import override

from dstk.v1 import admin_pb2, admin_pb2_grpc
from dstk_cluster.events import ORIGIN_METADATA, Origin
from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId, PartitionId
from dstk_service.channels import open_channel
from dstk_service.status import from_rpc_error
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
"""How long a step may take. No step waits for data to be copied."""

_NO_MAP: Final = ClusterMap(0, "", "", (), {})


class AdminLinks:
    """Channels to the Admin services of nodes. `token`: the admin token, where nodes ask for one."""

    def __init__(self, token: str | None = None) -> None:
        bearer = (("authorization", f"Bearer {token}"),) if token else ()
        self.metadata = (*bearer, (ORIGIN_METADATA, str(Origin.CONTROLLER)))
        self._channels: dict[str, grpc.aio.Channel] = {}

    def stub(self, address: str) -> admin_pb2_grpc.AdminStub:
        """The Admin service at host:port."""
        if address not in self._channels:
            self._channels[address] = open_channel(address)
        return admin_pb2_grpc.AdminStub(self._channels[address])

    async def keep(self, addresses: set[str]) -> None:
        """Gives up the channels to all others."""
        for address in set(self._channels) - addresses:
            await self._channels.pop(address).close()

    async def close(self) -> None:
        """Gives all channels up."""
        await self.keep(set())


class AdminClusterReader(ClusterReader):
    """Reads the figures of all nodes. A node that does not answer in time is missing from the sample."""

    def __init__(self, view: ClusterView, links: AdminLinks) -> None:
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
        stub, common = self._links.stub(address), {"timeout": SAMPLE_SECONDS, "metadata": self._links.metadata}
        try:
            partitions, nodes = await asyncio.gather(
                stub.ListPartitions(admin_pb2.ListPartitionsRequest(), **common),
                stub.ListNodes(admin_pb2.ListNodesRequest(), **common),
            )
        except grpc.aio.AioRpcError:
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
                    NodeId(follower.node): Follower(follower.sequence, follower.silent_s, follower.rebuilding)
                    for follower in status.followers
                },
            )
    return found


def _same_range(info: PartitionInfo, status: admin_pb2.PartitionStatus) -> bool:
    return (info.range.start, info.range.end or b"") == (status.partition.start, status.partition.end)


class AdminExecutor(Executor):
    """Carries out steps: asks the primary of the partition, by this node's map."""

    def __init__(self, view: ClusterView, links: AdminLinks) -> None:
        self._view, self._links = view, links

    @override
    async def execute(self, step: Step) -> StepResult:
        stub = self._links.stub(self._primary(step.partition))
        common = {"timeout": STEP_SECONDS, "metadata": self._links.metadata}
        try:
            return await _CALLS[step.action](stub, step, common)
        except grpc.aio.AioRpcError as error:
            raise StepFailed(f"{error.code().name}: {from_rpc_error(error)}") from error

    def _primary(self, number: PartitionId) -> str:
        current = self._view.current or _NO_MAP
        info = next((info for info in current.partitions if info.id == number), None)
        if info is None:
            raise StepFailed(f"there is no partition {number} any more")
        if info.primary not in current.nodes:
            raise StepFailed(f"{info.primary}, the primary, is not alive")
        return current.nodes[info.primary].address


async def _split(stub: admin_pb2_grpc.AdminStub, step: Step, common: dict[str, Any]) -> StepResult:
    request = admin_pb2.SplitPartitionRequest(partition_id=step.partition, by_load=step.by_load)
    halves = await stub.SplitPartition(request, **common)
    return StepResult(PartitionId(halves.upper.id))


async def _merge(stub: admin_pb2_grpc.AdminStub, step: Step, common: dict[str, Any]) -> StepResult:
    await stub.MergePartitions(admin_pb2.MergePartitionsRequest(at=step.at), **common)
    return StepResult(step.upper)


async def _add(stub: admin_pb2_grpc.AdminStub, step: Step, common: dict[str, Any]) -> StepResult:
    await stub.AddReplica(admin_pb2.AddReplicaRequest(partition_id=step.partition, node=step.node or ""), **common)
    return StepResult()


async def _remove(stub: admin_pb2_grpc.AdminStub, step: Step, common: dict[str, Any]) -> StepResult:
    request = admin_pb2.RemoveReplicaRequest(partition_id=step.partition, node=step.node or "")
    await stub.RemoveReplica(request, **common)
    return StepResult()


async def _transfer(stub: admin_pb2_grpc.AdminStub, step: Step, common: dict[str, Any]) -> StepResult:
    request = admin_pb2.TransferPrimaryRequest(partition_id=step.partition, node=step.node or "")
    await stub.TransferPrimary(request, **common)
    return StepResult()


_CALLS: Final[Mapping[Action, Callable[[admin_pb2_grpc.AdminStub, Step, dict[str, Any]], Awaitable[StepResult]]]] = {
    Action.SPLIT: _split,
    Action.MERGE: _merge,
    Action.ADD_REPLICA: _add,
    Action.REMOVE_REPLICA: _remove,
    Action.TRANSFER_PRIMARY: _transfer,
}
