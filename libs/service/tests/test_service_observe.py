"""The seam itself: members of a fan-out cannot break each other or the emitter."""

import logging
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest
from kit.observers import BreakingObserver

from dstk_service.observe import NULL, Event, Observer, Observers
from dstk_service.testing import RecordingObserver


@dataclass(frozen=True, slots=True)
class Opened(Event):
    door: str


@dataclass(frozen=True, slots=True)
class Closed(Event):
    door: str


def test_an_event_is_a_typed_value_without_a_dictionary() -> None:
    event = Opened("front")
    assert event == Opened("front") != Closed("front")
    assert not hasattr(event, "__dict__")
    frozen: Any = event
    with pytest.raises(FrozenInstanceError):
        frozen.door = "back"


def test_each_member_is_told_each_event_in_order() -> None:
    first, second = RecordingObserver(), RecordingObserver()
    both = Observers(first, second)
    for event in (Opened("front"), Closed("front"), Opened("back")):
        both.observe(event)
    assert first.events == second.events == [Opened("front"), Closed("front"), Opened("back")]
    assert first.of(Opened) == [Opened("front"), Opened("back")]


def test_a_member_that_raises_keeps_nothing_from_the_others_nor_from_the_emitter() -> None:
    before, behind, breaking = RecordingObserver(), RecordingObserver(), BreakingObserver()
    many = Observers(before, breaking, behind)
    for _ in range(3):
        many.observe(Opened("front"))
    assert before.events == behind.events == [Opened("front")] * 3
    assert breaking.told == 3


def test_a_failure_is_logged_once_for_a_member_and_a_kind_of_event(caplog: pytest.LogCaptureFixture) -> None:
    many = Observers(BreakingObserver(), BreakingObserver(KeyError("another")))
    for _ in range(5):
        many.observe(Opened("front"))
    many.observe(Closed("front"))
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 4
    assert all(record.exc_info for record in caplog.records)
    assert [record.args for record in caplog.records] == [("BreakingObserver", "Opened")] * 2 + [
        ("BreakingObserver", "Closed")
    ] * 2
    assert "of the observer" in caplog.text
    assert "another" in caplog.text


def test_what_ends_a_process_is_no_failure_of_a_member() -> None:
    class Interrupted(Observer):
        def observe(self, event: Event) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Observers(Interrupted()).observe(Opened("front"))


def test_without_members_and_by_default_an_event_is_dropped() -> None:
    Observers().observe(Opened("front"))
    NULL.observe(Opened("front"))
