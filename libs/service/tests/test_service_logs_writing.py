"""Writing the log: it is throttled, and a disk that is full or a reader that hangs costs callers nothing."""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kit.log_lines import record

from dstk_service.logs.fields import LogFields
from dstk_service.logs.formats import EcsFormatter
from dstk_service.logs.handler import LogHandler
from dstk_service.logs.throttle import BURST, MOST_MESSAGES, SETTLED_SECONDS, Throttle
from dstk_service.logs.writer import MOST_BYTES, LineWriter
from dstk_service.testing import eventually


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(throttle: Throttle, *lines: logging.LogRecord) -> list[logging.LogRecord]:
    return [line for line in lines if throttle.filter(line)]


def test_the_same_message_is_logged_a_few_times_then_once_a_second() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    assert len(shown(throttle, *(record("failed: %s", number) for number in range(1000)))) == BURST
    assert len(shown(throttle, *(record("failed: %s", number, level=logging.ERROR) for number in range(9)))) == BURST
    assert len(shown(throttle, record("another"))) == 1
    clock.now += 1
    (line, *others) = shown(throttle, record("failed: %s", 1), record("failed: %s", 2))
    assert not others
    assert vars(line)["suppressed"] == 1000 - BURST


def test_lines_that_someone_has_asked_for_are_never_suppressed() -> None:
    assert len(shown(Throttle(Clock()), *(record("step", level=logging.DEBUG) for _ in range(1000)))) == 1000


def test_actions_of_the_control_plane_are_never_suppressed() -> None:
    lines = [record("split", **LogFields(action="split", partition=number)) for number in range(1000)]
    assert len(shown(Throttle(Clock()), *lines)) == 1000


def test_suppressed_lines_are_counted_even_when_the_message_never_comes_again() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    shown(throttle, *(record("failed") for _ in range(10)), record("once"))
    assert throttle.settled() == []
    clock.now += SETTLED_SECONDS
    ((message, count),) = throttle.settled()
    assert (message.logger, message.level, message.text, count) == ("dstk", logging.INFO, "failed", 10 - BURST)
    assert throttle.settled() == []


def test_messages_without_end_share_a_limit() -> None:
    throttle = Throttle(Clock())
    lines = shown(throttle, *(record(f"message {number}") for number in range(MOST_MESSAGES * 3)))
    assert len(lines) == MOST_MESSAGES + BURST


@contextmanager
def handler_to(descriptor: int, clock: Clock | None = None) -> Iterator[LogHandler]:
    handler = LogHandler(descriptor, EcsFormatter({"service.name": "storage"}), clock or Clock())
    try:
        yield handler
    finally:
        handler.close()


@contextmanager
def opened(path: Path | str, flags: int = os.O_WRONLY | os.O_CREAT) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def lines_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_arrive_in_order_and_the_end_counts_suppressed_ones(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with opened(path) as descriptor, handler_to(descriptor) as handler:
        for number in range(10):
            handler.handle(record("again"))
            handler.handle(record(f"line {number}"))
    found = lines_in(path)
    assert [line["message"] for line in found if line["message"] != "again"][:10] == [f"line {n}" for n in range(10)]
    assert found[-1]["message"] == "lines were suppressed: again"
    assert found[-1]["dstk.log.suppressed"] == 10 - BURST


def test_a_line_whose_arguments_do_not_fit_is_a_line_about_that(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with opened(path) as descriptor, handler_to(descriptor) as handler:
        handler.handle(record("%d partitions", "no number"))
    (line,) = lines_in(path)
    assert line["message"] == "a line of dstk cannot be formatted: '%d partitions'"


@pytest.mark.parametrize("closed", [False, True], ids=["full disk", "closed"])
async def test_lines_that_cannot_be_written_are_counted_and_told_of_later(tmp_path: Path, *, closed: bool) -> None:
    """`dup2` puts a file into the place of the full device, as a disk that has room again does."""
    path = tmp_path / "log"
    with opened("/dev/full", os.O_WRONLY) as descriptor, handler_to(descriptor) as handler, opened(path) as good:
        if closed:
            read, write = os.pipe()
            os.dup2(write, descriptor)
            os.close(write)
            os.close(read)
        for number in range(5):
            handler.handle(record(f"lost {number}"))
        handler.flush()
        os.dup2(good, descriptor)
        handler.handle(record("written"))
        handler.flush()
        assert handler.lost == 5
    told, line = lines_in(path)
    assert (told["dstk.log.dropped"], told["log.level"]) == (5, "warning")
    assert line["message"] == "written"


def test_a_reader_that_hangs_holds_up_nobody_and_memory_is_bounded() -> None:
    read, write = os.pipe()
    writer = LineWriter(write, lambda count: f"{count} lost")
    line, begun = "x" * 1000, time.monotonic()
    for _ in range(3 * MOST_BYTES // len(line)):
        writer.put(line)
    assert time.monotonic() - begun < 5, "12,000 lines"
    assert writer.waiting_bytes <= MOST_BYTES
    with os.fdopen(read) as reader:  # it reads again: everything that waited arrives, and how much was lost
        found = []
        writer.put("last")
        while (text := reader.readline().rstrip("\n")) != "last":
            found.append(text)
        told = [int(text.split()[0]) for text in found if text.endswith(" lost")]
        assert sum(told) == writer.lost > 0
        assert writer.lost + found.count(line) == 3 * MOST_BYTES // len(line)
        writer.close()
    os.close(write)


async def test_a_line_that_was_written_in_part_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with opened(path) as descriptor:
        real, room = os.write, [3]

        def write(target: int, data: bytes) -> int:
            if target != descriptor:
                return real(target, data)
            if not room[0]:
                raise OSError(28, "No space left on device")
            taken = min(room[0], len(data))
            room[0] -= taken
            return real(target, data[:taken])

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "write", write)
            writer = LineWriter(descriptor, lambda count: f"{count} lost")
            writer.put("first")
            writer.flush()
            room[0] = 1000
            writer.put("second")
            await eventually(lambda: "second" in path.read_text())
            writer.close()
    assert path.read_text() == "fir\n1 lost\nsecond\n"
