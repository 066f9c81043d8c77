"""A TCP proxy that injects faults: real bytes between a real gRPC client and a real server.

It knows where HTTP/2 frames begin (RFC 9113, section 4.1) and nothing more, so that it can go wrong at a moment that means
something: at a connection, instead of a message to the server, or after the server has answered, when the effect has taken
place. What one fault does is in `kit.wire_faults`.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, Self

from kit.turns import turns

PREFACE_BYTES = 24
_HEAD = struct.Struct(">BHBBI")
_DATA, _HEADERS = 0, 1
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: on, zero seconds: closing sends RST instead of FIN."""


class Frame(NamedTuple):
    """One HTTP/2 frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes = b""

    def pack(self) -> bytes:
        """As it goes over the wire."""
        size = len(self.payload)
        return _HEAD.pack(size >> 16, size & 0xFFFF, self.kind, self.flags, self.stream) + self.payload

    @classmethod
    async def read(cls, source: asyncio.StreamReader) -> Self:
        """The next one. Raises IncompleteReadError at the end."""
        high, low, kind, flags, stream = _HEAD.unpack(await source.readexactly(_HEAD.size))
        return cls(kind, flags, stream, await source.readexactly(high << 16 | low))


class Moment(Enum):
    """The moments at which a fault can strike."""

    CONNECTION = auto()
    """A client has connected; the server knows nothing of it."""
    CALL = auto()
    """A call is about to reach the server, with its first message or, of a stream, ahead of it."""
    REQUEST = auto()
    """A message of the client's is about to reach the server."""
    ANSWER = auto()
    """A message of the server's is about to reach the client: what was asked for has been done."""


@dataclass(slots=True, eq=False)
class Connection:
    """One client's connection, and the one to the server that belongs to it. A fault may write to either and end both."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None

    def close(self) -> None:
        """Ends both in order, with FIN."""
        for side in (self.client, self.server):
            if side is not None:
                side.close()

    def reset(self) -> None:
        """Ends the client's with RST, as a machine does that has lost its memory, and the server's with FIN."""
        raw: socket.socket = self.client.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.client.transport.abort()
        self.close()

    async def gone(self) -> None:
        """Waits until the sockets of both, which have been ended, are closed."""
        for side in (self.client, self.server):
            if side is not None:
                with contextlib.suppress(OSError):  # why it has ended is no news
                    await side.wait_closed()

    async def to_client(self, data: bytes) -> None:
        """Sends bytes to the client, of whatever kind."""
        self.client.write(data)
        await self.client.drain()


Strike = Callable[[Connection, Frame], Awaitable[Frame | None]]
"""What a fault does to a frame at its moment: gives back what is passed on, or None for nothing. At CONNECTION the frame is
empty, and None means that the connection is not served.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the network. `name` completes "the wire: …"."""

    name: str
    moment: Moment
    strike: Strike = field(compare=False)

    def __str__(self) -> str:
        return self.name


class Wire:
    """Stands in front of one server. Faults strike one after the other, each once, at the next moment of their kind; one
    given to `always` strikes every time.

    `connections`: how many clients have connected. `struck`: how many faults did.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._waiting: deque[Fault] = deque()
        self._always: Fault | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._served: set[Connection] = set()
        self.connections = 0
        self.struck = 0
        self.address = ""

    def once(self, *faults: Fault) -> None:
        """Lets these strike, in this order."""
        self._waiting.extend(faults)

    def always(self, fault: Fault | None) -> None:
        """Lets this strike at each of its moments; None: no longer."""
        self._always = fault

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves a connection to its end."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = Connection(writer)
        self._served.add(connection)
        try:
            await self._serve(reader, connection)
        except (OSError, asyncio.IncompleteReadError):
            pass  # either side has ended it, which ends it for both
        except asyncio.CancelledError:
            pass  # the wire is taken down; asyncio's server would log a task that was cancelled
        finally:
            connection.close()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, connection: Connection) -> None:
        if (fault := self._due(Moment.CONNECTION)) and await fault.strike(connection, Frame(0, 0, 0)) is None:
            return
        source, connection.server = await asyncio.open_connection(*self._target)
        connection.server.write(await reader.readexactly(PREFACE_BYTES))
        ways = (
            self._carry(reader, connection.server, {_HEADERS: Moment.CALL, _DATA: Moment.REQUEST}, connection),
            self._carry(source, connection.client, {_DATA: Moment.ANSWER}, connection),
        )
        running = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _carry(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        moments: dict[int, Moment],
        connection: Connection,
    ) -> None:
        while True:
            frame: Frame | None = await Frame.read(source)
            assert frame is not None
            moment = moments.get(frame.kind)
            if moment and frame.payload and (fault := self._due(moment)):
                frame = await fault.strike(connection, frame)
            if frame is not None:
                sink.write(frame.pack())
                await sink.drain()

    def _due(self, moment: Moment) -> Fault | None:
        fault = self._always
        if self._waiting and self._waiting[0].moment is moment:
            fault = self._waiting.popleft()
        if fault is None or fault.moment is not moment:
            return None
        self.struck += 1
        return fault

    async def end(self) -> None:
        """Ends what is open."""
        await turns()  # connections that were accepted are handed over
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._served:
            await connection.gone()


@asynccontextmanager
async def wire(target: str) -> AsyncIterator[Wire]:
    """A wire to the server at host:port, on a free port of its own."""
    made = Wire(target)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    made.address = f"{host}:{port}"
    try:
        yield made
    finally:
        server.close()
        await made.end()
        await server.wait_closed()
