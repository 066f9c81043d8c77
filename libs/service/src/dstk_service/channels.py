"""gRPC channel and server options, the same everywhere."""

import asyncio
import gc
import logging
import os
from contextlib import suppress
from typing import Any

import grpc

from dstk_keytypes import limits
from dstk_service.addresses import checked
from dstk_service.context import Process

HARD_MESSAGE_BYTES = 2 * limits.MAX_MESSAGE_BYTES
"""What the transport takes. Up to here a message over the promised limit is answered with INVALID_ARGUMENT, beyond it with
gRPC's own RESOURCE_EXHAUSTED."""

END_SECONDS = 1.0
"""How long a call that is cancelled may take to end; it takes a millisecond."""

Options = list[tuple[str, int | str]]


def _not_the_poller(record: logging.LogRecord) -> bool:
    return "PollerCompletionQueue._handle_events" not in record.getMessage()


# gRPC has one poller for all event loops of a process. Each of them wakes up, one reads the byte that says so, and the others
# would log a harmless traceback (grpc/grpc#25364), in programs that use `connect_sync` or run several loops
logging.getLogger("asyncio").addFilter(_not_the_poller)

# a bulk insert of 150 KB takes both ends a sixth less CPU than in frames of 16 KiB
_FRAMES: tuple[str, int] = ("grpc.http2.max_frame_size", 1 << 20)


def read_ahead(size: int) -> Options:
    """How much of a stream arrives before it is asked for; messages that are being read come whole, whatever their size. Else
    gRPC measures what the connection could carry, and takes that much of each stream, tens of MiB on a fast one: a router with
    200 scans that nobody read grew by a GiB.
    """
    return [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", size)]


def unanswered(milliseconds: int) -> dict[str, int]:
    """Options that end a connection whose ping was not answered within this time. The second decides where the peer's machine
    takes packets all the same; left out it is a minute, whatever the first says.
    """
    return {"grpc.keepalive_timeout_ms": milliseconds, "grpc.http2.ping_timeout_ms": milliseconds}


CHANNEL_OPTIONS: Options = [
    _FRAMES,
    *read_ahead(1 << 20),
    ("grpc.keepalive_time_ms", 10_000),
    *unanswered(5_000).items(),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    # how long a handshake may take: on a busy machine more than the pause between two tries
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_send_message_length", HARD_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", HARD_MESSAGE_BYTES),
    # each channel its own connection: lanes to one node must not share a failing one
    ("grpc.use_local_subchannel_pool", 1),
]

SERVER_OPTIONS: Options = [
    _FRAMES,
    *read_ahead(1 << 20),
    ("grpc.keepalive_time_ms", 10_000),
    *unanswered(5_000).items(),
    # clients ping every 10 s; the default would close their connections for that
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
    # on by default, and then two servers share a taken port in silence
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", HARD_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", HARD_MESSAGE_BYTES),
]


_UNLESS_ASKED: Options = [
    # traffic between nodes, routers, clients and etcd is direct: http_proxy and its relatives are meant for the web
    ("grpc.enable_http_proxy", 0),
]


_first: list[Process] = []
"""The process in which gRPC began to run. Its threads do not pass through a fork: channels in a child never connect, and some
abort it.
"""


def open_channel(address: str, options: Options = CHANNEL_OPTIONS) -> grpc.aio.Channel:
    """A channel to host:port, past any proxy; it connects lazily and reconnects by itself. No other module opens channels
    (integration/structure/test_structure_channels.py).

    Raises InvalidArgument for anything but host:port, WrongContext in the forked child of a process that has opened a channel.
    """
    _in_one_process()
    return grpc.aio.insecure_channel(checked(address), options=[*options, *_UNLESS_ASKED])


def _in_one_process() -> None:
    if not _first:
        _first.append(Process())
        # what a child inherits must not be collected there: to take gRPC's objects apart without its threads ends in a crash
        os.register_at_fork(after_in_child=gc.freeze)
    _first[0].check("gRPC")


async def end(call: Any) -> None:
    """Cancels a call of grpc.aio and returns once gRPC has told so: what it tells a loop that is closed by then, it prints."""
    call.cancel()
    with suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            await call.code()
