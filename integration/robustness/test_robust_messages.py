"""Whatever bytes arrive on whatever RPC: its caller is told, the log has a line, and nobody else notices."""

import asyncio
import random
import time
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kit.membership import secret_of
from kit.methods import Method, methods
from kit.process_cluster import ProcessCluster, running

from dstk.v1 import admin_pb2, admin_pb2_grpc, kv_pb2, kv_pb2_grpc, replication_pb2
from dstk_client import connect
from dstk_keytypes import Key
from dstk_service.logs.throttle import BURST, PERIOD_SECONDS
from dstk_service.status import MAX_TRAILER_BYTES, trailer_bytes
from dstk_service.transport.credentials import SECRET, Credentials, NodeCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Channel

SERVERS = ("storage-1", "router")

UNDECODABLE = [
    pytest.param(b"\xff" * 9, id="an endless varint"),
    pytest.param(b"\x0a\x7fshort", id="a length beyond the end"),
    pytest.param(b"\x0b" * 5000, id="deeply nested groups"),
    pytest.param(b"\x07", id="a wire type that there is not"),
    pytest.param(b"\x0c", id="an end without a beginning"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    with running(ProcessCluster(tmp_path_factory.mktemp("messages"), nodes=1, router=True)) as made:
        yield made


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest, cluster: ProcessCluster) -> str:
    """Its name. Whatever a test has sent, it serves afterwards."""
    return str(request.param)


def channel_to(cluster: ProcessCluster, server: str, credentials: Credentials | None = None) -> Channel:
    return GRPC.connect(cluster.address(server), credentials=credentials)


async def every(cluster: ProcessCluster, server: str) -> list[Method]:
    return await asyncio.to_thread(methods, cluster.address(server))


async def reason_of(call: grpc.aio.Call) -> str:
    """That of the ErrorInfo, which every refusal of ours has."""
    trailers = await call.trailing_metadata()
    error = grpc.aio.AioRpcError(await call.code(), await call.initial_metadata(), trailers, await call.details())
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    if status is not None:
        status.details[0].Unpack(info)
    return info.reason


async def still_serves(cluster: ProcessCluster, server: str) -> None:
    async with connect(cluster.address(server), timeout=60) as client:
        await client.put(Key.text(server), b"v")
        assert await client.get(Key.text(server)) is not None


@pytest.mark.parametrize("junk", UNDECODABLE)
async def test_what_cannot_be_decoded_is_an_invalid_argument_on_every_rpc(
    cluster: ProcessCluster, server: str, junk: bytes
) -> None:
    before, begun = len(cluster.log(server)), time.monotonic()
    node = NodeCredentials(
        None, await secret_of(cluster)
    )  # whoever shows no secret is refused before a message is read
    async with channel_to(cluster, server, node) as channel:
        for method in await every(cluster, server):
            call = await method.send(channel, junk)
            assert (await call.code(), await reason_of(call)) == (
                grpc.StatusCode.INVALID_ARGUMENT,
                "INVALID_ARGUMENT",
            ), method.path
    said = cluster.log(server)[before:]
    assert "Traceback" not in said
    assert said.count("cannot be decoded") <= BURST + (time.monotonic() - begun) / PERIOD_SECONDS + 1
    await still_serves(cluster, server)


async def test_every_service_is_among_those_that_are_tried(cluster: ProcessCluster) -> None:
    found = {method.path for method in await every(cluster, "storage-1")}
    assert {"/dstk.v1.Replication/Append", "/dstk.v1.KeyValue/Execute", "/dstk.v1.Admin/ForcePrimary"} <= found
    assert {"/dstk.v1.Topology/Watch", "/grpc.health.v1.Health/Watch"} <= found
    assert any(path.endswith("ServerReflectionInfo") for path in found)


async def test_random_bytes_end_in_an_answer_or_in_an_error_of_ours(cluster: ProcessCluster, server: str) -> None:
    rng = random.Random(13)
    before = len(cluster.log(server))
    async with channel_to(cluster, server) as channel:
        for method in await every(cluster, server):
            if method.path.endswith("Watch"):
                continue  # what it takes has no fields, or it answers without end
            junk = [rng.randbytes(rng.randrange(1, 60)) for _ in range(12)]
            for call in await asyncio.gather(*(method.send(channel, each) for each in junk)):
                code = await call.code()
                assert code is grpc.StatusCode.OK or "grpc.health" in method.path or await reason_of(call), method.path
                assert code not in {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}, method.path
    assert "Traceback" not in cluster.log(server)[before:]
    await still_serves(cluster, server)


async def test_in_the_middle_of_a_stream_what_came_before_is_answered(cluster: ProcessCluster, server: str) -> None:
    good = kv_pb2.ExecuteRequest(id=7, operations=[kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=b"k")])
    async with channel_to(cluster, server) as channel:
        call = channel.stream_stream("/dstk.v1.KeyValue/Execute")()
        await call.write(good.SerializeToString())
        assert kv_pb2.ExecuteResponse.FromString(await call.read()).id == 7
        await call.write(b"\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError):
            await call.read()
        assert (await call.code(), await reason_of(call)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")


async def test_in_the_middle_of_an_append_stream_too(cluster: ProcessCluster) -> None:
    shown = ((SECRET, await secret_of(cluster)),)
    async with channel_to(cluster, "storage-1") as channel:
        for _ in range(
            60
        ):  # the answer to the first message may still be on its way out when the second one is refused
            call = channel.stream_stream("/dstk.v1.Replication/Append")(metadata=shown, timeout=60)
            await call.write(replication_pb2.AppendRequest(id=1).SerializeToString())
            assert replication_pb2.AppendResponse.FromString(await call.read()).id == 1
            await call.write(b"\xff\xff")
            with pytest.raises(grpc.aio.AioRpcError):
                await call.read()
            assert await reason_of(call) == "INVALID_ARGUMENT"


@pytest.mark.parametrize("path", ["/dstk.v1.KeyValue/Nothing", "/dstk.v9.KeyValue/Get", "/nothing", "/" + "x" * 5000])
async def test_an_rpc_that_there_is_not_is_unimplemented(cluster: ProcessCluster, server: str, path: str) -> None:
    before = len(cluster.log(server))
    async with channel_to(cluster, server) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(path)(b"\xff", timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "Traceback" not in cluster.log(server)[before:]


async def test_compressed_messages_are_read(cluster: ProcessCluster, server: str) -> None:
    async with channel_to(cluster, server) as channel:
        stub = kv_pb2_grpc.KeyValueStub(channel)
        for way in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            await stub.Put(kv_pb2.PutRequest(key=b"compressed", value=bytes(100_000)), compression=way)


def _admin_calls(long: bytes) -> list[tuple[str, object]]:
    name = long.decode("latin-1")
    return [
        ("SplitPartition", admin_pb2.SplitPartitionRequest(at=long)),
        ("MergePartitions", admin_pb2.MergePartitionsRequest(at=long)),
        ("AddReplica", admin_pb2.AddReplicaRequest(partition_id=1, node=name)),
        ("RemoveReplica", admin_pb2.RemoveReplicaRequest(partition_id=1, node=name)),
        ("TransferPrimary", admin_pb2.TransferPrimaryRequest(partition_id=1, node=name)),
        ("ForcePrimary", admin_pb2.ForcePrimaryRequest(partition_id=1, node=name)),
        (
            "SetDesiredState",
            admin_pb2.SetDesiredStateRequest(node=name, desired_state=admin_pb2.DESIRED_STATE_CORDONED),
        ),
        ("SetController", admin_pb2.SetControllerRequest(fields=[name])),
        ("ListEvents", admin_pb2.ListEventsRequest(limit=2**32 - 1)),
    ]


@pytest.mark.parametrize("long", [b"\xff" * 1025, b"k" * 6000, b"\x00" * 200_000], ids=len)
async def test_a_refusal_about_something_long_arrives_shortened(
    cluster: ProcessCluster, server: str, long: bytes
) -> None:
    async with channel_to(cluster, server) as channel:
        stub = admin_pb2_grpc.AdminStub(channel)
        for name, request in _admin_calls(long):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await getattr(stub, name)(request, timeout=60)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, (name, caught.value.details())
            status = rpc_status.from_call(caught.value)
            assert status is not None
            assert trailer_bytes(status) <= MAX_TRAILER_BYTES


async def test_the_longest_key_that_is_one_never_breaks_an_answer(cluster: ProcessCluster, server: str) -> None:
    """Merging at a key where no partition starts, and splitting where one starts: refusals that quote the key."""
    async with channel_to(cluster, server) as channel:
        stub = admin_pb2_grpc.AdminStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.MergePartitions(admin_pb2.MergePartitionsRequest(at=b"\xff" * 1024), timeout=60)
    assert rpc_status.from_call(caught.value) is not None
