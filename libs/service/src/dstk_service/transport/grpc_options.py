"""Options of gRPC's channels and servers, the same everywhere."""

from collections.abc import Mapping

from dstk_service.outgoing import HARD_MESSAGE_BYTES
from dstk_service.transport.port import Profile

Options = dict[str, int]

_PEERS_RECONNECT_MS = 200

_WATCH_PING_MS = 400
"""A node that hangs sends nothing, and neither does one whose map does not change. A client of a hanging node would miss that
others have taken over, so the client gives up this stream after 0.8 s without any data. Every piece of a map counts, and gRPC
answers pings without the server's event loop: a busy server does not look dead.
"""


def _unanswered(milliseconds: int) -> Options:
    """Ends a connection whose ping is not answered in time. The second option decides where the peer's machine still accepts
    packets; its default is a minute, whatever the first says.
    """
    return {"grpc.keepalive_timeout_ms": milliseconds, "grpc.http2.ping_timeout_ms": milliseconds}


_BOTH_ENDS: Options = {
    # a bulk insert of 150 KB takes both ends a sixth less CPU than in frames of 16 KiB
    "grpc.http2.max_frame_size": 1 << 20,
    # how much of a stream arrives before it is asked for; a message that is being read comes whole, whatever its size. By
    # default gRPC measures what the connection could carry and takes that much of each stream, tens of MiB on a fast one: a
    # router with 200 scans that nobody read grew by a GiB
    "grpc.http2.bdp_probe": 0,
    "grpc.http2.lookahead_bytes": 1 << 20,
    "grpc.keepalive_time_ms": 10_000,
    **_unanswered(5_000),
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.max_send_message_length": HARD_MESSAGE_BYTES,
    "grpc.max_receive_message_length": HARD_MESSAGE_BYTES,
}

_DEFAULT: Options = {
    # traffic between nodes, routers, clients and etcd is direct: http_proxy and its relatives are meant for the web
    "grpc.enable_http_proxy": 0,
}

_CALLS: Options = {
    **_DEFAULT,
    **_BOTH_ENDS,
    "grpc.http2.max_pings_without_data": 0,
    "grpc.initial_reconnect_backoff_ms": 50,
    # how long a handshake may take: on a busy machine more than the pause between two attempts
    "grpc.min_reconnect_backoff_ms": 1_000,
    "grpc.max_reconnect_backoff_ms": 1_000,
    # each channel has its own connection: lanes to one node must not share a failing one
    "grpc.use_local_subchannel_pool": 1,
}

CHANNEL: Mapping[Profile, Options] = {
    Profile.CALLS: _CALLS,
    Profile.PEERS: _CALLS | {"grpc.max_reconnect_backoff_ms": _PEERS_RECONNECT_MS},
    Profile.WATCH: _CALLS | {"grpc.keepalive_time_ms": _WATCH_PING_MS, **_unanswered(_WATCH_PING_MS)},
    Profile.ETCD: _CALLS | {"grpc.keepalive_permit_without_calls": 0},
    Profile.DEFAULT: _DEFAULT,
}


def server(*, shared_port: bool) -> Options:
    """Options of a server."""
    return {
        **_BOTH_ENDS,
        # clients ping every 10 s; by default gRPC closes their connections for that
        "grpc.http2.min_recv_ping_interval_without_data_ms": 5_000,
        "grpc.http2.max_ping_strikes": 0,
        # on by default, and then two servers share a taken port without an error
        "grpc.so_reuseport": int(shared_port),
    }
