"""Messages that show the secret of the cluster, with epochs and positions that cannot be: from a node that is confused, or from
whoever has read etcd. The cluster believes none of them, and goes on.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from kit.membership import secret_of
from kit.process_cluster import ProcessCluster, running

from dstk.v1 import replication_pb2 as pb
from dstk.v1 import replication_pb2_grpc
from dstk_client import Client, connect
from dstk_keytypes import Key
from dstk_service.transport.credentials import SECRET
from dstk_service.transport.grpc_connector import GRPC
from dstk_storage.adapters.peer_wire import ADDRESSEE

pytestmark = [pytest.mark.slow]

NODES = ("storage-1", "storage-2", "storage-3")
FAR = [1 << 20, 2**63 - 1, 2**63, 2**64 - 1]


def heartbeat(epoch: int) -> Any:
    claim = pb.Claim(partition_id=1, epoch=epoch, leads=True)
    return "Heartbeat", pb.HeartbeatRequest(sender="storage-1", session=9, version=1, claims=[claim])


def unclaimed(epoch: int) -> Any:
    return "Heartbeat", pb.HeartbeatRequest(
        sender="storage-1", session=9, version=1, claims=[pb.Claim(partition_id=1, epoch=epoch)]
    )


def vote_request(epoch: int) -> Any:
    return "RequestVote", pb.RequestVoteRequest(votes=[pb.VoteRequest(partition_id=1, epoch=epoch, known=1)])


def known(epoch: int) -> Any:
    return "RequestVote", pb.RequestVoteRequest(votes=[pb.VoteRequest(partition_id=1, epoch=1, known=epoch)])


def copy(epoch: int) -> Any:
    return "InstallSnapshot", pb.InstallSnapshotRequest(partition_id=1, epoch=epoch, first=True, attempt=1)


def end_of_copy(epoch: int) -> Any:
    history = pb.LogHistory(terms=[pb.Term(epoch=epoch, first=1)], last=2**64 - 1)
    return "InstallSnapshot", pb.InstallSnapshotRequest(
        partition_id=1, epoch=epoch, first=True, attempt=1, history=history
    )


def question(epoch: int) -> Any:
    return "Append", pb.AppendRequest(id=1, appends=[pb.PartitionAppend(partition_id=1, epoch=epoch)])


def added(epoch: int) -> Any:
    return "Append", pb.AppendRequest(id=1, appends=[pb.PartitionAppend(partition_id=1, epoch=1, known_from=epoch)])


def entries(epoch: int) -> Any:
    entry = pb.LogEntry(epoch=epoch, first=epoch, keys=[b"forged"], records=[b"\x01\x00" + bytes(16)])
    entry.previous.epoch = entry.previous.sequence = epoch
    return "Append", pb.AppendRequest(id=1, appends=[pb.PartitionAppend(partition_id=1, epoch=epoch, entries=[entry])])


FORGED = [heartbeat, unclaimed, vote_request, known, copy, end_of_copy, question, added, entries]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    with running(ProcessCluster(tmp_path_factory.mktemp("epochs"), nodes=3)) as made:
        yield made


@pytest.fixture
async def client(cluster: ProcessCluster) -> AsyncIterator[Client]:
    async with connect(*map(cluster.address, NODES), timeout=60) as made:
        yield made


async def send(cluster: ProcessCluster, node: str, method: str, request: Any) -> Any:
    """What the node answers; None: it refuses."""
    async with GRPC.connect(cluster.address(node)) as channel:
        stub = replication_pb2_grpc.ReplicationStub(channel)
        metadata = ((ADDRESSEE, node), (SECRET, await secret_of(cluster)))
        try:
            if method != "Append":
                return await getattr(stub, method)(request, metadata=metadata, timeout=60)
            call = stub.Append(metadata=metadata, timeout=60)
            await call.write(request)
            answer = await call.read()
            call.cancel()
        except grpc.aio.AioRpcError:
            return None
        return None if answer is grpc.aio.EOF else answer


def highest_promise(answer: Any) -> int:
    """That an answer speaks of."""
    if isinstance(answer, pb.AppendResponse):
        return max(result.promised for result in answer.results)
    if isinstance(answer, pb.RequestVoteResponse):
        return max((standing.promised for standing in answer.votes if standing.found), default=0)
    return 0


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
async def test_an_epoch_far_above_the_maps_locks_nothing(cluster: ProcessCluster, client: Client, forge: Any) -> None:
    await client.put(Key.text("before"), b"v")
    for epoch in FAR:
        for node in NODES:
            method, request = forge(epoch)
            assert highest_promise(await send(cluster, node, method, request)) < 1000
    etag = await client.put(Key.text("after"), b"v")
    assert etag < 1 << 20, "no position was believed either"
    assert (await client.get(Key.text("before"))).value == b"v"
    assert await client.get(b"forged") is None


async def test_a_primary_is_replaced_after_all_that(cluster: ProcessCluster, client: Client) -> None:
    """Elections go on, by epochs of the map; and a node that has heard all that comes back."""
    for node in NODES:
        for epoch in FAR:
            await send(cluster, node, *vote_request(epoch))
    for node in NODES[:2]:
        cluster.kill(node)
        assert await client.get(Key.text(node), timeout=60) is None, "reads are tried again until another node leads"
        await client.put(Key.text(node), b"v", timeout=60)
        await cluster.start(node)
    for node in NODES[:2]:
        assert (await client.get(Key.text(node))).value == b"v"
