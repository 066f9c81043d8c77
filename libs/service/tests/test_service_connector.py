"""A channel goes straight to its address, whatever the environment says, and to nothing that is no address."""

import asyncio

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dstk_service.errors import InvalidArgument
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY"])
async def test_a_proxy_is_passed_by(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    server = GrpcServer("127.0.0.1:0")
    address = await server.start()
    async with GRPC.connect(address) as channel:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
    await server.stop(0)


@pytest.mark.parametrize("address", ["", "http://127.0.0.1:7000", "127.0.0.1", "unix:/tmp/socket", "dns:///a:1"])
async def test_what_is_no_address_opens_nothing(address: str) -> None:
    with pytest.raises(InvalidArgument, match="host:port"):
        GRPC.connect(address)


def test_the_pollers_harmless_traceback_is_not_shown_and_all_else_is(caplog: pytest.LogCaptureFixture) -> None:
    loops = [asyncio.new_event_loop() for _ in range(2)]
    for loop, callback in zip(loops, ("PollerCompletionQueue._handle_events(...)()", "Mine()"), strict=True):
        loop.call_exception_handler({"message": f"Exception in callback {callback}", "exception": BlockingIOError()})
        loop.close()
    assert [record.getMessage() for record in caplog.records] == ["Exception in callback Mine()"]
