"""The checker itself: histories known good, known bad, and random ones of a register that is right or subtly wrong."""

import math
import random
from collections.abc import Iterator

import pytest

from model.linearizability import check, violations
from model.register import Kind, Operation, Outcome

K = b"k"


def op(
    kind: Kind,
    called: float,
    returned: float,
    outcome: Outcome,
    value: bytes | None = None,
    etag: int = 0,
    if_etag: int = 0,
) -> Operation:
    return Operation(K, kind, called, returned, outcome, value, etag, if_etag)


def put(called: float, returned: float, value: bytes, etag: int) -> Operation:
    return op(Kind.PUT, called, returned, Outcome.DONE, value, etag)


def lost(called: float, value: bytes) -> Operation:
    return op(Kind.PUT, called, math.inf, Outcome.UNKNOWN, value)


def got(called: float, returned: float, value: bytes | None, etag: int = 0) -> Operation:
    return op(Kind.GET, called, returned, Outcome.DONE if value else Outcome.MISSING, value, etag)


def if_absent(called: float, returned: float, value: bytes, outcome: Outcome, etag: int) -> Operation:
    return op(Kind.PUT_IF_ABSENT, called, returned, outcome, value, etag)


def if_etag(called: float, returned: float, value: bytes, wanted: int, outcome: Outcome, etag: int) -> Operation:
    return op(Kind.PUT_IF_ETAG, called, returned, outcome, value, etag, wanted)


def delete(called: float, returned: float, outcome: Outcome, etag: int = 0) -> Operation:
    return op(Kind.DELETE, called, returned, outcome, None, etag)


GOOD: dict[str, list[Operation]] = {
    "nothing": [],
    "one after the other": [put(0, 1, b"a", 1), got(2, 3, b"a", 1), put(4, 5, b"b", 2), got(6, 7, b"b", 2)],
    "missing before the first write": [got(0, 1, None), put(2, 3, b"a", 1)],
    "a read during a write sees either": [put(0, 9, b"a", 1), got(1, 2, None), got(3, 4, b"a", 1)],
    "writes at once, in the order of their etags": [put(0, 9, b"a", 2), put(0, 9, b"b", 1), got(10, 11, b"a", 2)],
    "an unanswered write that happened": [lost(0, b"a"), got(5, 6, b"a", 1)],
    "an unanswered write that never happened": [lost(0, b"a"), got(5, 6, None)],
    "an unanswered write that happened late": [lost(0, b"a"), got(5, 6, None), got(7, 8, b"a", 3)],
    "an unanswered write between two that were": [
        put(0, 1, b"a", 1),
        lost(2, b"b"),
        put(3, 4, b"c", 7),
        got(5, 6, b"c", 7),
    ],
    "one of two conditional writes wins": [
        if_absent(0, 9, b"a", Outcome.DONE, 1),
        if_absent(0, 9, b"b", Outcome.REFUSED, 1),
    ],
    "a refusal by an unanswered write": [lost(0, b"a"), if_absent(1, 2, b"b", Outcome.REFUSED, 5), got(3, 4, b"a", 5)],
    "compare and set": [
        put(0, 1, b"a", 1),
        if_etag(2, 3, b"b", 1, Outcome.DONE, 2),
        if_etag(4, 5, b"c", 1, Outcome.REFUSED, 2),
    ],
    "delete": [put(0, 1, b"a", 1), delete(2, 3, Outcome.DONE, 2), got(4, 5, None), delete(6, 7, Outcome.MISSING)],
    "if absent after a delete": [
        put(0, 1, b"a", 1),
        delete(2, 3, Outcome.DONE, 2),
        if_absent(4, 5, b"b", Outcome.DONE, 3),
    ],
}

BAD: dict[str, list[Operation]] = {
    "a lost write": [put(0, 1, b"a", 1), got(2, 3, None)],
    "a stale read": [put(0, 1, b"a", 1), put(2, 3, b"b", 2), got(4, 5, b"a", 1)],
    "a read that goes back in time": [put(0, 9, b"a", 1), got(1, 2, b"a", 1), got(3, 4, None)],
    "a value that nobody wrote": [put(0, 1, b"a", 1), got(2, 3, b"x", 1)],
    "an etag of another write": [put(0, 1, b"a", 1), got(2, 3, b"a", 4)],
    "etags that shrink": [put(0, 1, b"a", 5), put(2, 3, b"b", 4)],
    "an etag given twice": [put(0, 1, b"a", 5), put(2, 3, b"b", 5)],
    "two winners": [if_absent(0, 9, b"a", Outcome.DONE, 1), if_absent(0, 9, b"b", Outcome.DONE, 2)],
    "a refusal without a reason": [if_absent(0, 1, b"a", Outcome.REFUSED, 3)],
    "an unanswered write undone": [lost(0, b"a"), got(1, 2, b"a", 1), got(3, 4, None)],
    "an unanswered write before its call": [got(0, 1, b"a", 1), lost(2, b"a")],
    "a deleted record seen again": [put(0, 1, b"a", 1), delete(2, 3, Outcome.DONE, 2), got(4, 5, b"a", 1)],
    "compare and set on a stale etag": [
        put(0, 1, b"a", 1),
        put(2, 3, b"b", 2),
        if_etag(4, 5, b"c", 1, Outcome.DONE, 3),
    ],
    "a record that was there is missing for delete": [put(0, 1, b"a", 1), delete(2, 3, Outcome.MISSING)],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_is_explained(name: str) -> None:
    assert check(GOOD[name]) is None


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_not(name: str) -> None:
    violation = check(BAD[name])
    assert violation is not None
    assert "explained so far" in str(violation)


def test_keys_are_judged_one_by_one() -> None:
    other = Operation(b"other", Kind.GET, 0, 1, Outcome.DONE, b"never written", 1)
    assert [violation.key for violation in violations([put(0, 1, b"a", 1), other])] == [b"other"]


def simulated(
    rng: random.Random, *, stale: float = 0.0, forget: float = 0.0, overlap: float = 3.0
) -> Iterator[Operation]:
    """A history of eight callers of a register that takes effect somewhere between call and return, and that now and then
    answers with the value before, or forgets a write that it acknowledged.
    """
    record: tuple[bytes, int] | None = None
    before = record
    etag = 0
    free = [0.0] * 8
    moments = sorted((rng.uniform(0, 40), number) for number in range(120))
    for moment, number in moments:
        caller = min(range(8), key=free.__getitem__)
        called = max(free[caller], moment - rng.uniform(0, overlap))
        if called > moment:
            continue
        free[caller] = returned = moment + rng.uniform(0, overlap)
        if rng.random() < 0.5:
            seen = before if rng.random() < stale else record
            yield got(called, returned, *(seen or (None, 0)))
        elif rng.random() < 0.2:
            if rng.random() < 0.5:
                etag += 1
                before, record = record, (b"%d" % number, etag)
            yield lost(called, b"%d" % number)
        else:
            etag += 1
            if rng.random() >= forget:
                before, record = record, (b"%d" % number, etag)
            yield put(called, returned, b"%d" % number, etag)


@pytest.mark.parametrize("seed", range(40))
def test_random_histories_of_a_register_that_is_right_are_explained(seed: int) -> None:
    assert check(list(simulated(random.Random(seed)))) is None


def test_random_histories_of_a_register_that_is_wrong_are_found_out() -> None:
    """Not every wrong register shows in a short history; most do."""
    for fault in ({"stale": 0.3}, {"forget": 0.2}):
        histories = [list(simulated(random.Random(seed), overlap=0.5, **fault)) for seed in range(40)]
        caught = sum(check(history) is not None for history in histories)
        assert caught >= 36, f"{fault}: {caught} of 40"
