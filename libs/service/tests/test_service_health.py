"""`dstk-health` against real servers: what it prints, and its exit codes."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from dstk_service import health
from dstk_service.transport.grpc_server import GrpcServer


@pytest.fixture
async def server() -> AsyncIterator[tuple[GrpcServer, str]]:
    made = GrpcServer("127.0.0.1:0")
    address = await made.start()
    yield made, address
    await made.stop(0)


async def run(*arguments: str, listen: str = "") -> tuple[int, str, str]:
    """A process of its own, as a container runs it: exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dstk_service.health", *arguments),
        env={health.LISTEN_VARIABLE: listen},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def test_a_service_that_serves_is_healthy(server: tuple[GrpcServer, str]) -> None:
    made, address = server
    await made.set_serving(serving=True)
    assert await run(address) == (0, f"{address}: SERVING\n", "")


async def test_a_service_that_does_not_serve_yet_is_not(server: tuple[GrpcServer, str]) -> None:
    _, address = server
    assert await run(address) == (1, f"{address}: NOT_SERVING\n", "")


async def test_a_service_that_is_not_there_is_not_healthy(server: tuple[GrpcServer, str]) -> None:
    made, address = server
    await made.set_serving(serving=True)
    code, output, _ = await run(address, "--service", "no.such.Service")
    assert code == 1
    assert "NOT_FOUND" in output


async def test_nobody_there_is_said_within_the_timeout() -> None:
    code, output, _ = await run("127.0.0.1:1", "--timeout", "0.5")
    assert code == 1
    assert output.startswith(("127.0.0.1:1: UNAVAILABLE", "127.0.0.1:1: DEADLINE_EXCEEDED"))


@pytest.mark.parametrize(
    ("closes", "answer"),
    [(False, "DEADLINE_EXCEEDED: no answer within 0.5 s"), (True, "UNAVAILABLE: the connection was closed")],
)
async def test_what_listens_there_but_speaks_no_grpc_is_not_healthy(closes: bool, answer: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        if not closes:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        code, output, errors = await run(f"{host}:{port}", "--timeout", "0.5")
    assert (code, errors) == (1, "")
    assert output.startswith(f"{host}:{port}: {answer}")


async def test_in_a_container_it_asks_the_service_that_listens_there(server: tuple[GrpcServer, str]) -> None:
    made, address = server
    await made.set_serving(serving=True)
    assert await run(listen=address.replace("127.0.0.1", "0.0.0.0")) == (0, f"{address}: SERVING\n", "")


@pytest.mark.parametrize(
    "address", ["storage-1", "a:0", "a:65536", "a:" + "9" * 5000, "a:-1", "a:1e3", "\udcff:1", "a:٣"]
)
async def test_what_is_no_address_is_refused(address: str) -> None:
    code, _, errors = await run(address)
    assert code == 2
    assert "no address: " in errors
    assert "; give HOST:PORT" in errors


@pytest.mark.parametrize("timeout", ["nan", "inf", "-1", "0", "1e400", "5000000"])
async def test_a_timeout_out_of_bounds_is_refused(timeout: str) -> None:
    code, _, errors = await run("127.0.0.1:1", f"--timeout={timeout}")
    assert code == 2
    assert "--timeout is " in errors


async def test_a_service_whose_name_is_too_long_is_refused() -> None:
    code, _, errors = await run("127.0.0.1:1", "--service", "s" * 128)
    assert code == 2
    assert "the name has 128 bytes, at most 127 are allowed" in errors


async def test_without_any_address_it_says_what_to_give() -> None:
    code, _, errors = await run()
    assert code == 2
    assert "give HOST:PORT" in errors
