"""What nodes reach of each other through the simulated network: each other's followers, and each other's Admin service."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from typing_extensions import override

from dstk.v1 import admin_pb2
from dstk_cluster.model import ClusterMap, NodeInfo
from dstk_cluster.view import ClusterView
from dstk_keytypes import InvalidInput, Key, NodeId, PartitionId
from dstk_service.errors import DstkError
from dstk_storage.adapters.loads_reader import LoadsReader
from dstk_storage.adapters.memory_peers import Host
from dstk_storage.application.partition_admin import PartitionAdmin
from dstk_storage.domain.controller.model import Action, Step
from dstk_storage.domain.controller.ports import (
    Executor,
    StepFailed,
    StepResult,
)
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.replication.ports import PeerUnreachable
from dstk_storage.node import StorageNode
from dstk_storage.node_parts import Links, NodeListener
from dstk_storage.ports import EngineError
from dstk_storage.servicers.replication import Follower as FollowerApi
from dstk_storage.servicers.replication import Receive
from simulation.network import Lost, Network

T = TypeVar("T")

_NO_MAP = ClusterMap(0, "", "", (), {})


class NetworkHost(Host):
    """A node behind the network. `answer` has its process answer a call; it returns None when no process runs."""

    def __init__(
        self,
        source: NodeId,
        target: NodeId,
        network: Network,
        answer: Callable[[Callable[[FollowerApi, Receive], Coroutine[Any, Any, Any]]], Awaitable[Any] | None],
    ) -> None:
        self._source, self._target, self._network, self._answer = source, target, network, answer

    @override
    async def run(self, ask: Callable[[FollowerApi, Receive], Coroutine[Any, Any, T]]) -> T:
        try:
            answer: T = await self._network.call(self._source, self._target, lambda: self._answer(ask))
        except Lost as error:
            raise PeerUnreachable(str(error), refused=error.nobody) from error
        return answer


class SimListener(NodeListener):
    """Lets other nodes' calls in once they are admitted. `admitted` is called then."""

    name = "listener"

    def __init__(self, address: str, admitted: Callable[[], None]) -> None:
        self.address, self._admitted = address, admitted
        self.is_open = False

    @override
    def admit(self, secret: str) -> None:
        assert secret, "nodes have nothing to prove"
        self.is_open = True
        self._admitted()


class SimLinks(Links):
    """Links of one process need no proof, and end with it."""

    @override
    def join(self, secret: str) -> None:
        pass

    @override
    async def close(self) -> None:
        pass


class Process(Protocol):
    """A simulated node, for calls of its Admin service."""

    def ask(self, call: Callable[[StorageNode], Awaitable[T]]) -> Awaitable[T] | None:
        """Runs a call as part of the process; None: no process runs."""


class NetworkReader(LoadsReader):
    """Asks through the network."""

    def __init__(self, me: NodeId, view: ClusterView, network: Network, nodes: Mapping[NodeId, Process]) -> None:
        super().__init__(view)
        self._me, self._network, self._nodes = me, network, nodes

    @override
    async def ask(self, node: NodeInfo, request: admin_pb2.ListLoadsRequest) -> admin_pb2.ListLoadsResponse | None:
        async def loads(process: StorageNode) -> admin_pb2.ListLoadsResponse:
            return await process.node_admin.loads(request.session, request.version)

        try:
            return await self._network.call(self._me, node.id, lambda: self._nodes[node.id].ask(loads))
        except Lost:
            return None


class NetworkExecutor(Executor):
    """Carries out steps: asks the primary of the partition through the network, by this node's map."""

    def __init__(self, me: NodeId, view: ClusterView, network: Network, nodes: Mapping[NodeId, Process]) -> None:
        self._me, self._view, self._network, self._nodes = me, view, network, nodes

    @override
    async def execute(self, step: Step) -> StepResult:
        current = self._view.current or _NO_MAP
        info = next((info for info in current.partitions if info.id == step.partition), None)
        if info is None:
            raise StepFailed(f"there is no partition {step.partition} any more")

        async def change(process: StorageNode) -> StepResult:
            return await _change(process.partition_admin, step)

        try:
            return await self._network.call(self._me, info.primary, lambda: self._nodes[info.primary].ask(change))
        except (Lost, DstkError, StorageError, EngineError, InvalidInput) as error:
            raise StepFailed(str(error)) from error


async def _change(admin: PartitionAdmin, step: Step) -> StepResult:
    partition, node = step.partition, step.node or ""
    match step.action:
        case Action.SPLIT:
            _, upper = await admin.split_middle(partition, by_load=step.by_load)
            return StepResult(PartitionId(upper.id))
        case Action.MERGE:
            await admin.merge(Key(step.at))
            return StepResult(step.upper)
        case Action.ADD_REPLICA:
            await admin.add_replica(partition, node)
        case Action.REMOVE_REPLICA:
            await admin.remove_replica(partition, node)
        case Action.TRANSFER_PRIMARY:
            await admin.transfer(partition, node)
    return StepResult()
