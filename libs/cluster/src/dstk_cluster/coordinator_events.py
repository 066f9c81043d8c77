"""What the adapter of etcd tells its observer."""

from dataclasses import dataclass
from enum import StrEnum

from dstk_service.observe import Event
from dstk_service.trace import Span


class Request(StrEnum):
    """What etcd is asked for."""

    GET = "get"
    RANGE = "range"
    TRANSACTION = "transaction"
    LEASE = "lease"
    """To grant, renew or revoke one."""
    WATCH = "watch"


@dataclass(slots=True)
class RequestEnded(Event):
    """A request ended, after as many endpoints as it took. Of a watch: it is open, or could not be opened."""

    request: Request
    seconds: float
    failed: bool
    """No endpoint answered."""
    span: Span | None = None
    """None: it is not traced."""


@dataclass(frozen=True, slots=True)
class WatchOpened(Event):
    """etcd sends changes from now on."""


@dataclass(frozen=True, slots=True)
class WatchBroken(Event):
    """An open watch ended, other than by its reader."""
