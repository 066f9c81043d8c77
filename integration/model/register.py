"""One key as a sequential register: what each operation may answer, and what it leaves behind. Pure."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


class State(NamedTuple):
    """The key's record. `value` None: there is none. `etag` 0: not known, since the write that made it was not answered."""

    value: bytes | None
    etag: int
    newest: int
    """The highest etag that any write of this key is known to have been given; etags only grow."""


NOTHING = State(None, 0, 0)


class Kind(Enum):
    """What an operation does."""

    GET = auto()
    PUT = auto()
    PUT_IF_ABSENT = auto()
    PUT_IF_ETAG = auto()
    DELETE = auto()


class Outcome(Enum):
    """What an operation was answered."""

    DONE = auto()
    """GET: the record. Writes: applied, with the etag."""
    MISSING = auto()
    """GET, DELETE: no record."""
    REFUSED = auto()
    """A precondition failed; the etag is that of the record in the way, 0: none."""
    UNKNOWN = auto()
    """Nobody knows: applied at any moment after the call, or never."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call on one key. Times on one clock; values of writes are unique, so that reads tell which write they saw."""

    key: bytes
    kind: Kind
    called: float
    returned: float
    """Infinity for UNKNOWN."""
    outcome: Outcome
    value: bytes | None = None
    """Written, or read."""
    etag: int = 0
    """Of the answer."""
    if_etag: int = 0


def step(state: State, operation: Operation) -> State | None:
    """The state after the operation, or None where its answer is impossible in this state."""
    if operation.kind is Kind.GET:
        return _read(state, operation)
    match operation.outcome:
        case Outcome.UNKNOWN:
            return _apply(state, operation) if _allowed(state, operation) else state
        case Outcome.MISSING:
            return state if state.value is None else None
        case Outcome.REFUSED:
            return _refused(state, operation)
    return _apply(state, operation) if _allowed(state, operation) else None


def is_possible(state: State, operation: Operation) -> bool:
    """Whether the operation could be answered as it was, or could have had an effect, in this state."""
    if operation.outcome is Outcome.UNKNOWN:
        return _allowed(state, operation)
    return step(state, operation) is not None


def _read(state: State, operation: Operation) -> State | None:
    if operation.outcome is Outcome.UNKNOWN:
        return state
    if operation.outcome is Outcome.MISSING:
        return state if state.value is None else None
    return _learn(state, operation.etag) if state.value == operation.value else None


def _learn(state: State, etag: int) -> State | None:
    """The state once its etag is known; None when it cannot be this one."""
    if state.etag:
        return state if state.etag == etag else None
    return State(state.value, etag, etag) if etag > state.newest else None


def _allowed(state: State, operation: Operation) -> bool:
    match operation.kind:
        case Kind.PUT_IF_ABSENT:
            return state.value is None
        case Kind.PUT_IF_ETAG:
            return state.value is not None and _learn(state, operation.if_etag) is not None
        case Kind.DELETE:
            return state.value is not None
    return True


def _apply(state: State, operation: Operation) -> State | None:
    if operation.kind is Kind.PUT_IF_ETAG:
        learned = _learn(state, operation.if_etag)
        assert learned is not None
        state = learned
    if operation.etag and operation.etag <= state.newest:
        return None
    newest = operation.etag or state.newest
    if operation.kind is Kind.DELETE:
        return State(None, 0, newest)
    return State(operation.value, operation.etag, newest)


def _refused(state: State, operation: Operation) -> State | None:
    if operation.kind is Kind.PUT_IF_ABSENT:
        return _learn(state, operation.etag) if state.value is not None else None
    if operation.etag == 0:
        return state if state.value is None else None
    if state.value is None or operation.etag == operation.if_etag:
        return None
    return _learn(state, operation.etag)
