"""An operator's view and changes of a cluster, through the Admin service of a router."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from dstk.v1 import admin_pb2
from dstk_client.admin import AdminClient
from dstk_service.errors import DstkError, NotServing, PreconditionFailed
from dstk_service.testing import PATIENCE_SECONDS, eventually
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC

CALL_SECONDS = 60.0


class Operator:
    """Use `operator_at`. A refused change raises its DstkError."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    async def _change(self, call: Callable[[], Awaitable[object]]) -> None:
        """Asks until the partition is served: it is not for a moment after another change of it, and nothing was done then."""

        async def is_made() -> bool:
            try:
                await call()
            except NotServing:
                return False
            return True

        await eventually(is_made, within=CALL_SECONDS)

    async def partitions(self) -> list[admin_pb2.PartitionStatus]:
        """By start of range, with what their primaries say."""
        return list((await self._admin.partitions()).partitions)

    async def nodes(self) -> dict[str, admin_pb2.NodeStatus]:
        """By id."""
        return {status.node.id: status for status in await self._admin.nodes()}

    async def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        """Of all nodes that answer."""
        return list((await self._admin.replicas()).replicas)

    async def primary_of(self, key: bytes) -> str:
        """The primary of the key's partition."""
        return str((await self.partition_of(key)).primary)

    async def partition_of(self, key: bytes) -> Any:
        """The map's entry of the key's partition."""
        entries = [status.partition for status in await self.partitions()]
        return next(entry for entry in reversed(entries) if entry.start <= key)

    async def split(self, at: bytes) -> None:
        """At a key."""
        await self._change(lambda: self._admin.split(at=at))

    async def merge(self, at: bytes) -> None:
        """The partition that starts at the key, into its lower neighbour; both must have one primary."""
        await self._change(lambda: self._admin.merge(at))

    async def transfer(self, partition: int, node: str = "") -> None:
        """To a replica in sync; none given: to any other one."""
        await self._change(lambda: self._admin.transfer(partition, node))

    async def refusal_of_a_transfer(self, partition: int) -> DstkError:
        """What an attempt to hand the partition to another node is refused with, once."""
        try:
            await self._admin.transfer(partition, "")
        except DstkError as error:
            return error
        raise AssertionError(f"partition {partition} was handed over")

    async def lead_everything(self, node: str) -> None:
        """Transfers every partition to one node."""
        await self._transfer_all(lambda primary: primary != node, node)

    async def lead_nothing(self, node: str) -> None:
        """Transfers every partition off a node."""
        await self._transfer_all(lambda primary: primary == node, "")

    async def _transfer_all(self, is_wrong: Callable[[str], bool], node: str) -> None:
        """Until no primary is the wrong one: a transfer is refused while a replica is out of sync for a moment."""

        async def are_right() -> bool:
            wrong = [each.partition.id for each in await self.partitions() if is_wrong(each.partition.primary)]
            for partition in wrong:
                with suppress(DstkError):
                    await self.transfer(partition, node)
            return not wrong

        await eventually(are_right)

    async def add_replica(self, partition: int, node: str) -> None:
        """Adds a replica on a node."""
        await self._change(lambda: self._admin.add_replica(partition, node))

    async def remove_replica(self, partition: int, node: str) -> None:
        """Removes a node's replica."""
        await self._change(lambda: self._admin.remove_replica(partition, node))

    async def move(self, partition: int, source: str, target: str, *, within: float = PATIENCE_SECONDS) -> None:
        """Moves a replica from one node to another, which becomes the primary."""
        await self.add_replica(partition, target)

        async def is_handed_over() -> bool:
            await self.in_sync(partition, target, within=within)
            with suppress(PreconditionFailed):  # it has fallen out of sync again
                await self.transfer(partition, target)
                return True
            return False

        await eventually(is_handed_over, within=within)
        await self.remove_replica(partition, source)

    async def compare(self, partition: int, *, apply: bool = False) -> admin_pb2.RepairPartitionResponse:
        """Compares the partition's replicas with its primary's; with `apply`, rebuilds those that differ."""
        return await self._admin.repair(partition, apply=apply)

    async def controller(self) -> str:
        """The node that is the controller; empty: there is none."""
        return (await self._admin.controller()).leader

    async def pause_controller(self, *, paused: bool = True) -> None:
        """Pauses or resumes the controller."""
        await self._admin.configure(paused=paused)

    async def in_sync(self, partition: int, node: str, *, within: float = PATIENCE_SECONDS) -> None:
        """Waits until the node holds a replica of the partition that is in sync."""

        async def holds() -> bool:
            found = [status.partition for status in await self.partitions() if status.partition.id == partition]
            return any(node in entry.in_sync for entry in found)

        await eventually(holds, within=within)

    async def let_go(self, node: str, *, within: float = PATIENCE_SECONDS) -> None:
        """Waits until the node is in no in-sync set, and is primary of nothing."""

        async def is_out() -> bool:
            entries = [status.partition for status in await self.partitions()]
            return not any(node in entry.in_sync or node == entry.primary for entry in entries)

        await eventually(is_out, within=within)

    async def leads_nothing(self, node: str, *, within: float = PATIENCE_SECONDS) -> None:
        """Waits until other nodes are primary of all partitions."""

        async def is_free() -> bool:
            return all(status.partition.primary != node for status in await self.partitions())

        await eventually(is_free, within=within)

    async def healed(self, *, within: float = PATIENCE_SECONDS, replicas: int = 3) -> None:
        """Waits until every partition is served, with so many replicas, all of them in sync."""

        async def is_whole() -> bool:
            for status in await self.partitions():
                entry = status.partition
                assert status.serving, f"partition {entry.id} of {entry.primary} is not served"
                assert len(entry.replicas) == replicas, f"partition {entry.id} has replicas {entry.replicas}"
                assert set(entry.in_sync) == set(entry.replicas), f"partition {entry.id}: in sync {entry.in_sync}"
            return True

        await eventually(is_whole, within=within)

    async def replicas_agree(self) -> None:
        """Checks that every replica of every partition equals its primary's."""
        for status in await self.partitions():
            number = status.partition.id
            for replica in await self._compared(number):
                assert not replica.differing, f"partition {number} on {replica.node} differs: {replica}"

    async def _compared(self, partition: int) -> Sequence[admin_pb2.ReplicaComparison]:
        """Waits for a comparison with all replicas: one that fell out of sync meanwhile comes back."""
        found: list[admin_pb2.ReplicaComparison] = []

        async def is_complete() -> bool:
            try:
                found[:] = (await self.compare(partition)).replicas
            except DstkError as error:  # its primary changes, or a replica is slow
                raise AssertionError(f"partition {partition}: {error}") from error
            assert all(replica.complete for replica in found), f"partition {partition} could not be compared: {found}"
            return True

        await eventually(is_complete)
        return found


@asynccontextmanager
async def operator_at(address: str, token: str | None = None) -> AsyncIterator[Operator]:
    """At the router's host:port."""
    async with GRPC.connect(address, credentials=OperatorCredentials(token)) as channel:
        yield Operator(AdminClient(channel, address, CALL_SECONDS))
