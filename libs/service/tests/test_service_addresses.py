"""Where a service that listens on all interfaces is reached."""

import socket

import pytest

from dstk_service.addresses import local, reachable


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
