"""`dstk-health [ADDRESS]`: asks a service whether it serves. For the health checks of containers, which have no gRPC tool.

Every container runs it every few seconds. gRPC takes 250 ms of CPU for that, mostly for imports; HTTP/2 with `h2` takes 80 ms.
So the two messages of grpc.health.v1 are encoded and decoded by hand.

Exit codes: 0 the service serves; 1 it does not, or does not answer (the reason is printed); 2 the command line is wrong.
"""

import argparse
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from time import monotonic
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from dstk_service.addresses import local, split

LISTEN_VARIABLE = "DSTK_LISTEN"
"""The variable that says where the service of a container listens."""

_SERVING_STATUS = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
"""Names of grpc.health.v1.HealthCheckResponse.ServingStatus."""

_STATUS_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""Names of gRPC's codes."""

_MAX_NAME_BYTES = 127
"""The longest name of a service: protobuf encodes lengths up to this as one byte."""

_MAX_SECONDS = 3600.0
_MAX_PORT, _PORT_DIGITS = 65_535, 5

_PREFIX_BYTES = 5
"""The header of each gRPC message: whether it is compressed, and its length."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns the exit code. Exits with 2 if the command line is wrong."""
    options = _parser().parse_args(argv)
    if not options.address:
        _parser().error(f"no address: give HOST:PORT, or set {LISTEN_VARIABLE}")
    port = split(options.address)[1]
    if not (
        options.address.isascii() and port.isdecimal() and len(port) <= _PORT_DIGITS and 0 < int(port) <= _MAX_PORT
    ):
        _parser().error(f"no address: {options.address!r}; give HOST:PORT")
    if not 0 < options.timeout <= _MAX_SECONDS:
        _parser().error(f"--timeout is {options.timeout:g}: give seconds above 0, at most {_MAX_SECONDS:g}")
    if (size := len(options.service.encode())) > _MAX_NAME_BYTES:
        _parser().error(f"--service: the name has {size} bytes, at most {_MAX_NAME_BYTES} are allowed")
    address = local(options.address)
    answer = ask(address, options.service, options.timeout)
    print(f"{address}: {answer}")  # noqa: T201 - docker inspect shows it
    return 0 if answer == "SERVING" else 1


def ask(address: str, service: str, seconds: float) -> str:
    """The health of a service at host:port, as gRPC names it, or why there was no answer within `seconds`."""
    deadline, (host, port) = monotonic() + seconds, split(address)
    try:
        with socket.create_connection((host, int(port)), timeout=seconds) as connection:
            return _read(_exchange(connection, address, service, deadline))
    except TimeoutError:
        return f"DEADLINE_EXCEEDED: no answer within {seconds:g} s"
    except (OSError, ProtocolError) as error:
        return f"UNAVAILABLE: {error}"


def _exchange(connection: socket.socket, address: str, service: str, deadline: float) -> Iterator[Event]:
    """Sends the request and yields the events that come back. Raises OSError, TimeoutError, ProtocolError."""
    protocol = H2Connection(H2Configuration(header_encoding="utf-8"))
    protocol.initiate_connection()
    protocol.send_headers(1, _headers(address))
    protocol.send_data(1, _request(service), end_stream=True)
    connection.sendall(protocol.data_to_send())
    while True:
        connection.settimeout(max(0.001, deadline - monotonic()))
        received = connection.recv(65_536)
        if not received:
            raise ConnectionResetError("the connection was closed before the answer")
        yield from protocol.receive_data(received)
        connection.sendall(protocol.data_to_send())


def _headers(address: str) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", address),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]


def _request(service: str) -> bytes:
    """A HealthCheckRequest; field 1 is the service's name."""
    name = service.encode()
    assert len(name) <= _MAX_NAME_BYTES, "its length takes more than one byte"
    message = bytes((1 << 3 | 2, len(name))) + name if name else b""
    return b"\0" + len(message).to_bytes(_PREFIX_BYTES - 1) + message


def _read(events: Iterator[Event]) -> str:
    headers: dict[str, str] = {}
    body = b""
    for event in events:
        match event:
            case ResponseReceived() | TrailersReceived():
                headers |= dict(event.headers)  # type: ignore[arg-type] # the configuration has them decoded
            case DataReceived():
                body += event.data
            case StreamEnded():
                return _health(headers, body[_PREFIX_BYTES:])
            case StreamReset() | ConnectionTerminated():
                raise ConnectionResetError(f"the call was ended: {event.error_code!r}")
    raise AssertionError("events end by an exception")


def _health(headers: dict[str, str], message: bytes) -> str:
    """The status of a HealthCheckResponse (its field 1), or the status of a failed call."""
    code = int(headers.get("grpc-status", "2"))
    if code:
        why = unquote(headers.get("grpc-message", "")) or f"HTTP status {headers.get(':status')}"
        return f"{_STATUS_CODES[code]}: {why}"
    return _SERVING_STATUS[message[1] if message else 0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dstk-health", description="Ask a service whether it serves. Exits with 0 if so."
    )
    parser.add_argument(
        "address",
        nargs="?",
        default=os.environ.get(LISTEN_VARIABLE, ""),
        help=f"HOST:PORT; unless given, where {LISTEN_VARIABLE} says that the service listens",
    )
    parser.add_argument("--service", default="", help="such as dstk.v1.KeyValue; unless given, all of them")
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS", help="how long to wait (2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
