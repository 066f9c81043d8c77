"""host:port addresses: where a service that listens on all interfaces is reached, from here and from elsewhere."""

import ipaddress
import re
import socket
from collections.abc import Iterable

from dstk_service.errors import InvalidArgument

MAX_PORT = 65_535
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})")
_PORT = re.compile(r"[0-9]{1,5}")


def checked(address: object, field: str = "address") -> str:
    """The address itself, if it is host:port: a name, an IPv4 address, or an IPv6 address in brackets, and a port that can be
    connected to. Raises InvalidArgument, which says what is wrong with it.
    """
    return _checked(address, field, least_port=1)


def checked_listen(address: object, field: str = "address") -> str:
    """As `checked`, for an address to listen on: port 0 is any free one."""
    return _checked(address, field, least_port=0)


def _checked(address: object, field: str, least_port: int) -> str:
    if not isinstance(address, str):
        raise InvalidArgument(field, repr(address), f"host:port as text, not {type(address).__name__}")
    if wrong := _wrong_with(address, least_port):
        raise InvalidArgument(field, repr(address), wrong)
    return address


def all_checked(addresses: Iterable[object], field: str = "address") -> tuple[str, ...]:
    """The addresses, each `checked`."""
    return tuple(checked(each, field) for each in addresses)


def _wrong_with(address: str, least_port: int) -> str:
    """What a text must be to be an address; "": it is one."""
    scheme, mark, _ = address.partition("://")
    if mark:
        return f"host:port, without '{scheme[:20]}://'"
    if "," in address or any(map(str.isspace, address)):
        return "one host:port, without commas and spaces: name several addresses one by one"
    host, colon, port = address.rpartition(":")
    if not colon or not host:
        return "host:port, such as '127.0.0.1:7000'"
    if not _PORT.fullmatch(port) or not least_port <= int(port) <= MAX_PORT:
        return f"host:port with a port of {least_port}..{MAX_PORT}"
    return (
        "" if _is_host(host) else "host:port with a name, an IPv4 address, or an IPv6 address in brackets: '[::1]:7000'"
    )


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return _NAME.fullmatch(host) is not None
    try:
        return host.endswith("]") and bool(ipaddress.IPv6Address(host[1:-1]))
    except ValueError:
        return False


def local(listening: str) -> str:
    """The address by which this machine itself reaches what listens there."""
    host, port = split(listening)
    return f"{_literal('127.0.0.1' if host == '0.0.0.0' else '::1' if host == '::' else host)}:{port}"


def reachable(listening: str, peers: Iterable[str]) -> str:
    """The address by which others reach what listens there.

    It is `listening` itself, unless that is all interfaces: then the interface through which the first peer (host:port) with
    a known address is reached. Where no peer's is known, the machine's own name must lead to more than loopback. Raises
    OSError when that does not help either.
    """
    host, port = split(listening)
    if not _is_every_interface(host):
        return listening
    for peer in peers:
        try:
            return f"{_literal(_interface_towards(*split(peer)))}:{port}"
        except OSError:
            continue  # such as a peer that is down, whose name then nobody knows
    found = _own_address()
    if found is None:
        raise OSError(f"cannot tell by which address others reach {listening!r}: give one as --advertise HOST:PORT")
    return f"{_literal(found)}:{port}"


def split(address: str) -> tuple[str, str]:
    """Host and port; an IPv6 address without its brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), port


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_every_interface(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False  # a name


def _interface_towards(host: str, port: str) -> str:
    """Asks the routing table; a datagram socket that connects sends nothing."""
    family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(target)
        return str(probe.getsockname()[0])


def _own_address() -> str | None:
    try:
        found = socket.gethostbyname(socket.gethostname())
    except OSError:
        return None
    return None if ipaddress.ip_address(found).is_loopback else found
