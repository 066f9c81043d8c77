"""Who may call what: operators with the token, or from this machine where there is none; nodes that know the secret."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from kit.servers import listening

from dstk.v1 import admin_pb2, admin_pb2_grpc, kv_pb2, kv_pb2_grpc, replication_pb2, replication_pb2_grpc
from dstk_service.errors import DstkError, NotServing, PermissionDenied
from dstk_service.status import from_rpc_error
from dstk_service.transport.credentials import Credentials, NodeCredentials, OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_transport import GrpcTransport
from dstk_service.transport.guard import CredentialsGuard

LOCAL, REMOTE = "ipv4:127.0.0.1:5", "ipv4:10.0.0.1:5"
NODES = replication_pb2.DESCRIPTOR.services_by_name["Replication"].methods


class Counting(admin_pb2_grpc.AdminServicer, replication_pb2_grpc.ReplicationServicer, kv_pb2_grpc.KeyValueServicer):
    """Counts the calls that get through, and keeps their metadata."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []

    async def ListNodes(self, request: Any, context: Any) -> Any:
        self.shown.append(dict(context.invocation_metadata()))
        return admin_pb2.ListNodesResponse()

    async def Get(self, request: Any, context: Any) -> Any:
        self.shown.append(dict(context.invocation_metadata()))
        return kv_pb2.GetResponse()


def _answer(name: str) -> Any:
    async def call(self: Counting, request: Any, context: Any) -> Any:
        self.shown.append(dict(context.invocation_metadata()))
        if name == "Append":
            async for each in request:
                await context.write(replication_pb2.AppendResponse(id=each.id))
            return None
        return getattr(replication_pb2, f"{name}Response")()

    return call


for method in NODES:
    setattr(Counting, method.name, _answer(method.name))


@asynccontextmanager
async def guarded(
    operator: OperatorCredentials | None = None, node: NodeCredentials | None = None
) -> AsyncIterator[tuple[str, Counting]]:
    server, answering = GrpcTransport().listen("127.0.0.1:0", operator=operator, node=node), Counting()
    async with listening(server, Admin=answering, Replication=answering, KeyValue=answering) as address:
        yield address, answering


async def refusal(call: Any) -> DstkError | None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    return None


async def _first_answer(stream: Any) -> None:
    with suppress(grpc.aio.AioRpcError):  # refused before the message is sent: reading says why
        await stream.write(replication_pb2.AppendRequest(id=1))
    await stream.read()
    stream.cancel()


async def refusals_of_nodes(address: str, credentials: Credentials | None) -> Sequence[DstkError | None]:
    """What each RPC of Replication answers to these credentials."""
    found = []
    async with GRPC.connect(address, credentials=credentials) as channel:
        stub = replication_pb2_grpc.ReplicationStub(channel)
        for method in NODES:
            call = getattr(stub, method.name)
            if method.client_streaming:
                found.append(await refusal(_first_answer(call())))
            else:
                found.append(await refusal(call(getattr(replication_pb2, method.input_type.name)())))
    return found


@pytest.mark.parametrize("shown", [None, OperatorCredentials("wrong"), OperatorCredentials("")])
async def test_admin_calls_need_the_token_where_there_is_one(shown: OperatorCredentials | None) -> None:
    async with guarded(OperatorCredentials("token")) as (address, answering):
        async with GRPC.connect(address, credentials=shown) as channel:
            call = admin_pb2_grpc.AdminStub(channel).ListNodes(admin_pb2.ListNodesRequest())
            assert isinstance(await refusal(call), PermissionDenied)
        assert not answering.shown


@pytest.mark.parametrize("token", [None, "token"])
async def test_the_right_token_or_loopback_opens_admin(token: str | None) -> None:
    operator = OperatorCredentials(token)
    async with guarded(operator) as (address, answering):
        async with GRPC.connect(address, credentials=operator, metadata=(("from", "test"),)) as channel:
            await admin_pb2_grpc.AdminStub(channel).ListNodes(admin_pb2.ListNodesRequest(), metadata=(("more", "x"),))
        (shown,) = answering.shown
        assert (shown["from"], shown["more"]) == ("test", "x")


def test_without_a_token_only_this_machine_is_accepted() -> None:
    OperatorCredentials().check({}, LOCAL)
    OperatorCredentials("t").check({"authorization": "Bearer t"}, REMOTE)
    with pytest.raises(PermissionDenied, match=r"10\.0\.0\.1"):
        OperatorCredentials().check({}, REMOTE)
    with pytest.raises(PermissionDenied, match="token"):
        OperatorCredentials().check({"authorization": "Bearer "}, REMOTE)


FORGED = [
    None,
    OperatorCredentials("token"),
    NodeCredentials("token"),
    NodeCredentials("token", "another"),
    NodeCredentials("wrong", "secret"),
    NodeCredentials(None, "secret"),
]


@pytest.mark.parametrize("forged", FORGED)
async def test_every_internal_call_is_refused_to_all_but_nodes(forged: Credentials | None) -> None:
    async with guarded(node=NodeCredentials("token", "secret")) as (address, answering):
        found = await refusals_of_nodes(address, forged)
        assert len(found) == len(NODES)
        assert all(isinstance(error, PermissionDenied) for error in found)
        assert not answering.shown


@pytest.mark.parametrize("token", [None, "token"])
async def test_nodes_of_the_cluster_may_call_everything(token: str | None) -> None:
    mine, theirs = NodeCredentials(token), NodeCredentials(token)
    async with guarded(node=theirs) as (address, answering):
        assert all(isinstance(error, NotServing) for error in await refusals_of_nodes(address, mine))
        theirs.join("secret")
        assert all(isinstance(error, PermissionDenied) for error in await refusals_of_nodes(address, mine))
        mine.join("secret")
        assert await refusals_of_nodes(address, mine) == [None] * len(NODES)
        assert len(answering.shown) == len(NODES)


async def test_a_server_that_expects_no_nodes_refuses_them_all() -> None:
    async with guarded() as (address, answering):
        assert all(await refusals_of_nodes(address, NodeCredentials(None, "secret")))
        assert not answering.shown


async def test_calls_of_other_services_need_and_show_nothing() -> None:
    async with guarded(OperatorCredentials("token"), NodeCredentials("token", "secret")) as (address, answering):
        async with GRPC.connect(address) as channel:
            await kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=b"k"))
        assert not {"authorization", "dstk-secret"} & answering.shown[0].keys()


KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


@pytest.mark.parametrize("kind", KINDS)
async def test_calls_of_every_kind_are_guarded(kind: str) -> None:
    handler = getattr(grpc, f"{kind}_rpc_method_handler")(lambda request, context: request)

    async def continuation(details: Any) -> Any:
        return handler

    guard = CredentialsGuard({"a.Guarded": OperatorCredentials("token")})
    guarded = await guard.intercept_service(continuation, SimpleNamespace(method="/a.Guarded/Method"))
    inner = getattr(guarded, kind)
    read: list[str] = []

    async def first() -> None:
        read.append("first")

    shown = (("authorization", "Bearer token"),)
    context = SimpleNamespace(invocation_metadata=lambda: shown, peer=lambda: "", read=first)
    assert inner("passed on", context) == "passed on"
    context.invocation_metadata = lambda: ()
    with pytest.raises(PermissionDenied):
        await inner("passed on", context)
    assert bool(read) == kind.startswith("stream"), "else a write that is under way would fail with INTERNAL"
    other = await guard.intercept_service(continuation, SimpleNamespace(method="/a.GuardedToo/Method"))
    assert other is handler


@pytest.mark.parametrize("kind", KINDS)
async def test_calls_of_every_kind_show_credentials(kind: str) -> None:
    shown: list[dict[str, Any]] = []

    async def answer(request: Any, context: Any) -> Any:
        shown.append(dict(context.invocation_metadata()))
        return b"answer"

    async def answers(request: Any, context: Any) -> AsyncIterator[bytes]:
        yield await answer(request, context)

    make = getattr(grpc, f"{kind}_rpc_method_handler")
    handler = make(answers if kind.endswith("stream") else answer, request_deserializer=bytes)

    def register(_: object, server: Any) -> None:
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.Service", {"Method": handler}),))

    server = GrpcTransport().listen("127.0.0.1:0")
    server.add(register, None, "grpc.health.v1.Health")
    credentials = OperatorCredentials("token")
    async with GRPC.connect(await server.start(), credentials=credentials) as channel:
        call = getattr(channel, kind)("/a.Service/Method")(b"" if kind.startswith("unary") else iter([b""]))
        assert (await call.read() if kind.endswith("stream") else await call) == b"answer"
    await server.stop(0)
    assert shown[0]["authorization"] == "Bearer token"
