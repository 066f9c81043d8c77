"""HTTP by hand: what is sent is what the test says, and streams can be followed."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from dstk_service.addresses import split


@dataclass(frozen=True)
class Answer:
    """`headers`: by name in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@asynccontextmanager
async def opened(
    address: str, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[int, Mapping[str, str], asyncio.StreamReader]]:
    """A request, and its answer up to the body."""
    host, port = split(address)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        sent = {"host": address, "content-length": str(len(body)), "connection": "close", **(headers or {})}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items() if value), "", ""]
        writer.write("\r\n".join(lines).encode("latin-1") + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        yield int(head[0].split()[1]), found, reader
    finally:
        writer.transport.abort()


async def ask(
    address: str, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """A request and its whole answer, on a connection of its own."""
    async with asyncio.timeout(30), opened(address, method, path, body, headers) as (status, found, reader):
        if "content-length" in found:
            return Answer(status, found, await reader.readexactly(int(found["content-length"])))
        chunks = [chunk async for chunk in unchunked(reader)]
        return Answer(status, found, b"".join(chunks))


async def unchunked(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The chunks of a body of unknown length."""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
