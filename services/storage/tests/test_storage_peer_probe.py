"""Whether the process of another node is gone, by what its address does with a connection."""

import asyncio
import socket

import pytest
from kit.peers import B, real
from kit.ports import free_port

from dstk_storage.adapters.peer_probe import is_gone


async def answering(reply: bytes | None) -> tuple[str, asyncio.Server]:
    """A listener that says `reply` and ends, or (None) accepts and says nothing."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply is None:
            await reader.read()
        else:
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    return f"127.0.0.1:{server.sockets[0].getsockname()[1]}", server


@pytest.mark.parametrize(("reply", "gone"), [(b"x", False), (None, False), (b"", True)])
async def test_a_process_is_gone_when_it_ends_connections_without_a_word(reply: bytes | None, gone: bool) -> None:
    address, server = await answering(reply)
    assert await is_gone(address) == gone
    server.close()


async def test_a_process_is_gone_when_its_machine_refuses_and_only_then() -> None:
    assert await is_gone(f"127.0.0.1:{free_port()}")
    assert await is_gone(f"localhost:{free_port()}")
    assert not await is_gone("nobody")
    with socket.create_server(("127.0.0.1", 0)) as stopped:
        assert not await is_gone(f"127.0.0.1:{stopped.getsockname()[1]}")
    async with real() as (world, _):
        assert not await is_gone(world.address(B) or "")
