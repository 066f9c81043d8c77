"""What counts as a pause of a key, on hand-made attempts."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from model.register import Kind

from dstk_keytypes import Key
from dstk_service.errors import NotServing
from faults.attempts import Attempt, Pause, longest_pause
from faults.lapses import count_moments, takeovers

KEY, OTHER = Key.text("k"), Key.text("o")


@dataclass(frozen=True, slots=True)
class Case:
    """Attempts, and the longest pause that they show."""

    name: str
    attempts: list[Attempt]
    pause: Pause


def read(called: float, returned: float, *, failed: bool = False, kind: Kind = Kind.GET, key: Key = KEY) -> Attempt:
    return Attempt(key, kind, called, returned, NotServing("", 0.0) if failed else None, None)


CASES = [
    Case("one call", [read(1.0, 3.0)], Pause(2.0, 1.0, KEY, writes=False)),
    Case("that nobody asks is no pause", [read(0.0, 0.5), read(5.0, 5.7)], Pause(5.7 - 5.0, 5.0, KEY, writes=False)),
    Case(
        "a call that waits since before the last answer counts from that answer on",
        [read(0.0, 4.0), read(0.0, 1.0)],
        Pause(3.0, 1.0, KEY, writes=False),
    ),
    Case(
        "calls that failed were waiting, too",
        [read(0.0, 1.0), read(2.0, 3.0, failed=True), read(4.0, 6.0)],
        Pause(4.0, 2.0, KEY, writes=False),
    ),
    Case(
        "and so was one that failed behind the last answer",
        [read(0.0, 1.0), read(1.0, 7.0, failed=True)],
        Pause(6.0, 1.0, KEY, writes=False),
    ),
    Case(
        "a read is no answer to who writes",
        [read(0.0, 8.0, kind=Kind.PUT), read(1.0, 2.0), read(3.0, 4.0)],
        Pause(8.0, 0.0, KEY, writes=True),
    ),
    Case("keys are apart", [read(0.0, 8.0, key=OTHER), read(1.0, 2.0)], Pause(8.0, 0.0, OTHER, writes=False)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_longest_pause(case: Case) -> None:
    assert longest_pause(case.attempts) == case.pause


def test_only_calls_that_ended_since_count() -> None:
    assert longest_pause([read(0.0, 8.0), read(9.0, 10.0)], since=9.0).seconds == 1.0


def test_takeovers_from_others_are_found_and_those_close_together_are_one_moment() -> None:
    def line(second: float, message: str, previous: str) -> str:
        moment = datetime.fromtimestamp(second, tz=UTC).isoformat()
        return json.dumps({"@timestamp": moment, "message": message, "dstk.previous_primary": previous}) + "\n"

    logs = {
        "a": line(10.0, "took over", "b") + line(10.5, "took over", "b") + line(11.0, "took over", "a"),
        "b": line(20.0, "took over", "c") + "no JSON\n" + line(30.0, "serving", "c"),
    }
    assert sorted(takeovers(logs)) == [10.0, 10.5, 20.0]
    assert count_moments(takeovers(logs)) == 2
