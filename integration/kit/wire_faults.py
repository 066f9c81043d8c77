"""What can go wrong on a wire (see kit.wire), each with what it looks like from the client's side.

Each is honest: what it claims of the server is so. CALL and REQUEST faults keep it from the server, ANSWER faults strike when
the server has done what it was asked for.
"""

import asyncio
import struct
from typing import Never

from kit.wire import Connection, Fault, Frame, Moment

_RST_STREAM, _GOAWAY = 3, 7
_NO_ERROR, _INTERNAL_ERROR, _CANCEL, _ENHANCE_YOUR_CALM = 0, 2, 8, 11
_EVERY_STREAM = (1 << 31) - 1
_PREFIX = 5
"""Bytes in front of a gRPC message: whether it is compressed, and its length."""

LATE_SECONDS = 0.15


async def _forever() -> Never:
    """Until the connection is taken down: nothing is passed on, nothing is ended."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def _close(connection: Connection, _: Frame) -> None:
    connection.close()


async def _reset(connection: Connection, _: Frame) -> None:
    connection.reset()


async def _silence(_: Connection, __: Frame) -> None:
    await _forever()


async def _late(_: Connection, frame: Frame) -> Frame:
    await asyncio.sleep(LATE_SECONDS)
    return frame


async def _half(connection: Connection, frame: Frame) -> None:
    whole = frame.pack()
    await connection.to_client(whole[: len(whole) // 2])
    connection.close()


async def _unreadable(_: Connection, frame: Frame) -> Frame:
    head, message = frame.payload[:_PREFIX], frame.payload[_PREFIX:]
    return frame._replace(payload=head + b"\xff" * len(message))


async def _no_http2(connection: Connection, _: Frame) -> None:
    await connection.to_client(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")


def _stream_ends(code: int) -> "Fault":
    async def strike(connection: Connection, frame: Frame) -> None:
        await connection.to_client(Frame(_RST_STREAM, 0, frame.stream, struct.pack(">I", code)).pack())

    return Fault(f"the stream ends with code {code}", Moment.ANSWER, strike)


def _goaway(last_stream: int) -> Frame:
    return Frame(_GOAWAY, 0, 0, struct.pack(">II", last_stream, _NO_ERROR) + b"bye")


async def _leaves_in_order(connection: Connection, frame: Frame) -> Frame:
    await connection.to_client(_goaway(_EVERY_STREAM).pack())
    return frame


async def _never_took_it(connection: Connection, frame: Frame) -> None:
    await connection.to_client(_goaway(frame.stream - 2 if frame.stream > 1 else 0).pack())
    connection.close()


TURNED_AWAY = Fault("turned away at once", Moment.CONNECTION, _reset)
"""RST as soon as it is connected: what a proxy without a backend does."""
MUTE = Fault("connected and never a byte", Moment.CONNECTION, _silence)
NOT_OURS = Fault("something else answers", Moment.CONNECTION, _no_http2)

CALL_NOT_TAKEN = Fault("GOAWAY that names the call as not taken", Moment.CALL, _never_took_it)

REQUEST_CLOSED = Fault("closed with the request on its way", Moment.REQUEST, _close)
REQUEST_RESET = Fault("reset with the request on its way", Moment.REQUEST, _reset)
REQUEST_SWALLOWED = Fault("a black hole for requests", Moment.REQUEST, _silence)
REQUEST_LATE = Fault("a slow request", Moment.REQUEST, _late)

ANSWER_CLOSED = Fault("closed before the answer", Moment.ANSWER, _close)
ANSWER_RESET = Fault("reset before the answer", Moment.ANSWER, _reset)
ANSWER_SWALLOWED = Fault("a black hole for answers", Moment.ANSWER, _silence)
ANSWER_HALF = Fault("half an answer", Moment.ANSWER, _half)
ANSWER_UNREADABLE = Fault("an answer of garbage", Moment.ANSWER, _unreadable)
ANSWER_NO_HTTP2 = Fault("bytes that are no HTTP/2", Moment.ANSWER, _no_http2)
ANSWER_LATE = Fault("a slow answer", Moment.ANSWER, _late)
STREAM_BROKEN = _stream_ends(_INTERNAL_ERROR)
STREAM_CANCELLED = _stream_ends(_CANCEL)
STREAM_TOO_MUCH = _stream_ends(_ENHANCE_YOUR_CALM)
LEAVING = Fault("GOAWAY in front of the answer", Moment.ANSWER, _leaves_in_order)

ANSWER_LOST = (
    ANSWER_CLOSED,
    ANSWER_RESET,
    ANSWER_HALF,
    ANSWER_UNREADABLE,
    ANSWER_NO_HTTP2,
    STREAM_BROKEN,
    STREAM_CANCELLED,
    STREAM_TOO_MUCH,
)
"""After each of these nothing more comes of the answer, and the client hears that at once."""
