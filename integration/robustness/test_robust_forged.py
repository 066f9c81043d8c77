"""Whoever is no storage node of the cluster calls what storage nodes ask of each other, with numbers that would end it if they
were believed: nothing of it is, and the cluster elects, writes and restarts as before.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import grpc
import pytest
from kit.membership import secret_of
from kit.operators import operator_at
from kit.process_cluster import ProcessCluster, running
from kit.spoiled import holds_once

from dstk.v1 import replication_pb2 as pb
from dstk.v1 import replication_pb2_grpc
from dstk_client import connect
from dstk_keytypes import Key
from dstk_service.errors import DeadlineExceeded, NotServing, PermissionDenied, WriteAmbiguous
from dstk_service.status import from_rpc_error
from dstk_service.testing import eventually
from dstk_service.transport.credentials import SECRET

pytestmark = [pytest.mark.slow]

HUGE = (2**63, 2**64 - 1)
METADATA: tuple[Sequence[tuple[str, str]], ...] = (
    (),
    ((SECRET, ""),),
    ((SECRET, "x" * 32),),
    ((SECRET, "0"), (SECRET, "1")),
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    options = ["--lease-seconds", "2"]
    with running(
        ProcessCluster(tmp_path_factory.mktemp("forged"), nodes=3, router=True, storage_options=options)
    ) as made:
        yield made


def messages(number: int) -> Iterator[tuple[str, Any]]:
    """By RPC: each says something enormous about partition 1."""
    position = pb.Position(epoch=number, sequence=number)
    entry = pb.LogEntry(previous=position, epoch=number, first=number, keys=[b"k"], records=[bytes(18)])
    history = pb.LogHistory(terms=[pb.Term(epoch=number, first=number)], last=number)
    claim = pb.Claim(partition_id=1, epoch=number, leads=True)
    yield "Append", pb.AppendRequest(id=number, appends=[pb.PartitionAppend(partition_id=1, epoch=number)])
    yield "Append", pb.AppendRequest(appends=[pb.PartitionAppend(partition_id=1, epoch=number, entries=[entry])])
    yield "Heartbeat", pb.HeartbeatRequest(sender="storage-2", session=number, version=number, claims=[claim])
    yield "RequestVote", pb.RequestVoteRequest(votes=[pb.VoteRequest(partition_id=1, epoch=number)])
    yield (
        "InstallSnapshot",
        pb.InstallSnapshotRequest(partition_id=1, epoch=number, first=True, history=history, attempt=number),
    )
    yield "Leave", pb.LeaveRequest(sender="storage-2")
    yield "Digest", pb.DigestRequest(partition_id=1)


async def refusal_of(stub: Any, rpc: str, message: Any, metadata: Sequence[tuple[str, str]]) -> object:
    """What a forged call is refused with."""
    call = getattr(stub, rpc)
    try:
        if rpc == "Append":
            stream = call(metadata=metadata, timeout=60)
            with suppress(grpc.aio.AioRpcError):  # refused before the message is sent: reading says why
                await stream.write(message)
            return await stream.read()
        return await call(message, metadata=metadata, timeout=60)
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)


async def refuses_all(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = replication_pb2_grpc.ReplicationStub(channel)
        for rpc, message in (each for number in HUGE for each in messages(number)):
            for metadata in METADATA:
                assert isinstance(await refusal_of(stub, rpc, message, metadata), PermissionDenied), rpc


async def test_nothing_that_is_forged_is_believed(cluster: ProcessCluster) -> None:
    async with (
        connect(cluster.address("router"), mode="gateway", timeout=60) as client,
        operator_at(cluster.address("router")) as operator,
    ):
        await client.put(Key.text("k"), b"before")

        async def changes_nothing(_: int) -> None:
            await operator.healed()
            before = await operator.partition_of(b"")
            for name in cluster.names:
                await refuses_all(cluster.address(name))
            assert await operator.partition_of(b"") == before

        await holds_once(changes_nothing, range(3))
        before = await operator.partition_of(b"")
        cluster.kill(before.primary)

        async def is_written() -> bool:
            try:
                await client.put(Key.text("k"), b"after")
            except (DeadlineExceeded, NotServing, WriteAmbiguous):  # it was on its way to the node that was killed
                return False
            return await operator.primary_of(b"") != before.primary

        await eventually(is_written)
        await cluster.start(before.primary)
        assert (await client.get(Key.text("k"))).value == b"after"


async def test_nobody_is_told_the_secret(cluster: ProcessCluster) -> None:
    secret = await secret_of(cluster)
    async with operator_at(cluster.address("router")) as operator:
        said = repr(await operator.nodes()) + repr(await operator.partitions()) + repr(await operator.replicas())
    assert secret
    assert secret not in said + "".join(map(cluster.log, cluster.speakers))
