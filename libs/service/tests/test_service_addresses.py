"""Where a service that listens on all interfaces is reached."""

import re
import socket

import pytest

from dstk_service.addresses import all_checked, checked, local, reachable
from dstk_service.errors import InvalidArgument


@pytest.mark.parametrize("address", ["10.0.0.1:7101", "127.0.0.1:7101", "storage-1:7101", "[fd00::1]:7101"])
def test_an_address_of_one_interface_stays_as_it_is(address: str) -> None:
    assert reachable(address, ["127.0.0.1:2379"]) == address
    assert local(address) == address


@pytest.mark.parametrize(("listening", "expected"), [("0.0.0.0:7101", "127.0.0.1:7101"), ("[::]:7101", "[::1]:7101")])
def test_what_listens_on_all_interfaces_is_here_on_loopback(listening: str, expected: str) -> None:
    assert local(listening) == expected


def test_others_reach_it_by_the_interface_that_leads_to_a_peer() -> None:
    assert reachable("0.0.0.0:7101", ["127.0.0.1:2379"]) == "127.0.0.1:7101"


def test_a_peer_whose_name_nobody_knows_is_passed_over() -> None:
    assert reachable("0.0.0.0:7101", ["nobody.invalid:2379", "127.0.0.1:2379"]) == "127.0.0.1:7101"


def test_without_a_peer_the_own_name_leads_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostbyname", lambda _: "10.1.2.3")
    assert reachable("0.0.0.0:7101", ["nobody.invalid:2379"]) == "10.1.2.3:7101"


@pytest.mark.parametrize("own", ["127.0.1.1", OSError("unknown")])
def test_an_own_name_that_leads_to_loopback_does_not_help(monkeypatch: pytest.MonkeyPatch, own: str | OSError) -> None:
    def look_up(_: str) -> str:
        if isinstance(own, OSError):
            raise own
        return own

    monkeypatch.setattr(socket, "gethostbyname", look_up)
    with pytest.raises(OSError, match="give one as --advertise"):
        reachable("0.0.0.0:7101", ["nobody.invalid:2379"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:1",
        "localhost:65535",
        "storage-1.dstk_default.svc:7101",
        "[::1]:7000",
        "[fe80::1%eth0]:7000",
        "a:07000",
    ],
)
def test_addresses_are_taken_as_they_are(address: str) -> None:
    assert checked(address) == address


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "host:port, such as"),
        ("localhost", "host:port, such as"),
        (":7000", "host:port, such as"),
        ("http://127.0.0.1:7000", "without 'http://'"),
        ("dns:///storage:7000", "without 'dns://'"),
        ("127.0.0.1:", "a port of 1..65535"),
        ("127.0.0.1:0", "a port of 1..65535"),
        ("127.0.0.1:65536", "a port of 1..65535"),
        ("127.0.0.1:http", "a port of 1..65535"),
        ("127.0.0.1:-1", "a port of 1..65535"),
        ("127.0.0.1:\u0667", "a port of 1..65535"),
        ("127.0.0.1:7000/", "a port of 1..65535"),
        ("a:1,b:2", "without commas and spaces"),
        (" a:1", "without commas and spaces"),
        ("a:1\n", "without commas and spaces"),
        ("::1:7000", "IPv6 address in brackets"),
        ("[::1:7000", "IPv6 address in brackets"),
        ("[storage]:7000", "IPv6 address in brackets"),
        ("user@host:7000", "a name"),
        ("a" * 254 + ":1", "a name"),
        ("a\0b:1", "a name"),
        (["a:1", "b:1"], "text, not list"),
        (("a", 1), "text, not tuple"),
        (b"a:1", "text, not bytes"),
        (7000, "text, not int"),
        (None, "text, not NoneType"),
    ],
)
def test_what_is_no_address_is_refused_with_its_reason(address: object, why: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(why)) as caught:
        all_checked(["127.0.0.1:7000", address], "router")
    assert str(caught.value).startswith("router is ")
