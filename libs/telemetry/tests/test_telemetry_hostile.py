"""Callers of the operations port that do not behave: others are answered, and every connection ends."""

import asyncio
import http.client
import logging
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from threading import Event, Thread

import pytest
import uvloop
from typing_extensions import override

from dstk_service.addresses import split
from dstk_service.testing import eventually
from dstk_telemetry.connections import HEADER_BYTES, MOST_CONNECTIONS
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.operations import OperationsServer
from dstk_telemetry.registry.kinds import Owner

ASK = b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n"
LARGE = b"#" * 2_000_000
"""As much as an exposition may have."""


class LargeExposition(Instruments):
    """Exports as much as is allowed, once it may."""

    def __init__(self) -> None:
        super().__init__(Owner.ROUTER)
        self.gate = asyncio.Event()
        self.gate.set()

    @override
    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        await self.gate.wait()
        return LARGE, "text/plain"


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own: that of our services, and asyncio's, which accepts, buffers and aborts in another way."""
    made: asyncio.AbstractEventLoop = request.param()
    thread = Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


async def on(loop: asyncio.AbstractEventLoop, step: Coroutine[None, None, None]) -> None:
    """Awaits a step that belongs to another loop."""
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(step, loop))


@pytest.fixture
def instruments() -> LargeExposition:
    return LargeExposition()


@pytest.fixture
async def server(loop: asyncio.AbstractEventLoop, instruments: LargeExposition) -> AsyncIterator[OperationsServer]:
    made = OperationsServer("127.0.0.1:0", instruments, lambda: {"serving": ""})
    await on(loop, made.start(loop.create_task))
    yield made
    await on(loop, made.close())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """Connections that last for as many seconds."""
    monkeypatch.setattr("dstk_telemetry.connections.CONNECTION_SECONDS", 0.3)
    return 0.3


@asynccontextmanager
async def held(server: OperationsServer, number: int, request: bytes = b"") -> AsyncIterator[list[socket.socket]]:
    """Connections that have sent `request`, and take little before they are read."""
    loop, address = asyncio.get_running_loop(), split(server.address)
    with ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in made:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.setblocking(False)
            await loop.sock_connect(each, (address[0], int(address[1])))
            with suppress(ConnectionError):  # it was displaced at once
                await loop.sock_sendall(each, request)
        yield made


@asynccontextmanager
async def connected(server: OperationsServer, request: bytes = b"") -> AsyncIterator[socket.socket]:
    """One such connection."""
    async with held(server, 1, request) as (connection,):
        yield connection


async def until_end(connection: socket.socket) -> bytes:
    """What arrives before the connection ends, in whichever way."""
    loop, received = asyncio.get_running_loop(), bytearray()
    try:
        while chunk := await loop.sock_recv(connection, 1 << 20):
            received += chunk
    except ConnectionError:
        pass
    return bytes(received)


async def is_ready(server: OperationsServer) -> bool:
    """Asks as a probe does, with little patience."""

    def ask() -> int:
        connection = http.client.HTTPConnection(server.address, timeout=60)
        connection.request("GET", "/readyz")
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    return await asyncio.to_thread(ask) == 200


async def answer(server: OperationsServer, request: bytes) -> bytes:
    async with connected(server, request) as connection:
        return await asyncio.wait_for(until_end(connection), 5)


@pytest.mark.parametrize(
    "request_", [b"", b"GET /readyz HT", ASK % b"/metrics", b"POST /metrics HTTP/1.1\r\ncontent-length: 9\r\n\r\n"]
)
async def test_probes_are_answered_while_others_hold_all_connections(server: OperationsServer, request_: bytes) -> None:
    async with held(server, 2 * MOST_CONNECTIONS, request_):
        for _ in range(10):
            assert await is_ready(server)


async def test_a_scrape_under_way_outlives_any_number_of_idle_connections(server: OperationsServer) -> None:
    async with connected(server, ASK % b"/metrics") as scraper:
        await asyncio.get_running_loop().sock_recv(scraper, 1)  # it is under way
        async with held(server, 3 * MOST_CONNECTIONS):
            assert await is_ready(server)
            assert len(await until_end(scraper)) > len(LARGE)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("request_", [b"", b"GET /readyz HTTP/1.1\r\nx: "])
async def test_a_connection_that_asks_for_nothing_ends(server: OperationsServer, request_: bytes) -> None:
    assert await answer(server, request_) == b""


@pytest.mark.usefixtures("impatient")
async def test_a_connection_whose_answer_is_not_read_ends(server: OperationsServer) -> None:
    async with connected(server, ASK % b"/metrics") as connection:
        await asyncio.get_running_loop().sock_recv(connection, 1)
        await eventually(lambda: not server.connections)
        assert len(await until_end(connection)) < len(LARGE)


async def test_a_request_that_comes_byte_by_byte_does_not_live_longer(
    server: OperationsServer, impatient: float
) -> None:
    async def send_slowly(connection: socket.socket) -> None:
        while True:
            await asyncio.get_running_loop().sock_sendall(connection, b"x")
            await asyncio.sleep(impatient / 10)

    async with connected(server, b"GET /readyz HTTP/1.1\r\nx: ") as connection:
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_slowly(connection), 60)


async def test_there_are_never_more_connections_than_allowed(
    server: OperationsServer, loop: asyncio.AbstractEventLoop
) -> None:
    release = Event()
    async with held(server, MOST_CONNECTIONS) as older:
        await eventually(lambda: server.connections == MOST_CONNECTIONS)
        loop.call_soon_threadsafe(release.wait)
        async with held(server, MOST_CONNECTIONS // 2):  # which are accepted in one turn of the loop
            release.set()
            await asyncio.wait_for(asyncio.gather(*map(until_end, older[: MOST_CONNECTIONS // 2])), 5)
            assert server.connections == MOST_CONNECTIONS


async def test_a_connection_carries_one_request(server: OperationsServer) -> None:
    received = await answer(server, ASK % b"/healthz" * 50)
    assert received.count(b"HTTP/1.1 200") <= 1  # none: the rest of what was sent made the system reset the connection
    received = await answer(server, ASK % b"/healthz")
    assert b"connection: close" in received
    assert received.endswith(b"ok\n")


async def test_a_caller_that_has_closed_its_half_is_answered(
    server: OperationsServer, loop: asyncio.AbstractEventLoop, instruments: LargeExposition
) -> None:
    instruments.gate.clear()
    async with connected(server, ASK % b"/metrics") as connection:
        connection.shutdown(socket.SHUT_WR)
        assert await is_ready(server)  # and has seen the end of what was sent before
        loop.call_soon_threadsafe(instruments.gate.set)
        assert (await asyncio.wait_for(until_end(connection), 5)).endswith(LARGE)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /%ff%00/../healthz HTTP/1.0\r\n\r\n", b"404"),
        (b"GET http://x/healthz HTTP/1.0\r\n\r\n", b"404"),
        (b"OPTIONS * HTTP/1.0\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.0\r\ncontent-length: 1000000000\r\n\r\n", b"405"),
        (b"HEAD /readyz HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /readyz HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", b"200"),
        (b"GET /readyz HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n", b"200"),
    ],
)
async def test_strange_requests_are_answered_and_not_logged(
    server: OperationsServer, request_: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await answer(server, request_)).startswith(b"HTTP/1.1 " + status)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


async def test_an_endless_header_is_refused(server: OperationsServer) -> None:
    received = await answer(server, b"GET /readyz HTTP/1.1\r\nx: " + b"x" * (HEADER_BYTES + 1))
    assert received.startswith(b"HTTP/1.1 400")


async def test_the_end_of_a_service_does_not_wait_for_callers(
    server: OperationsServer, loop: asyncio.AbstractEventLoop
) -> None:
    async with held(server, 3, ASK % b"/metrics") as readers, held(server, 3):
        await eventually(lambda: server.connections == 6)
        begun = time.monotonic()
        await on(loop, server.close())
        assert time.monotonic() - begun < 2
        assert len(await until_end(readers[0])) < len(LARGE)
