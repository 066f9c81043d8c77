"""The time axis of a matrix: which slots each column shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from dstk_metrics.domain.history.tiers import MINUTE_MS, TIERS, SlotKey


@dataclass(frozen=True, slots=True)
class Column:
    """A span of time, Unix ms. `keys`: its slots, in order of time; none: nothing is known of it."""

    begin_ms: int
    end_ms: int
    keys: tuple[SlotKey, ...]


def columns(keys: Sequence[SlotKey], from_ms: int, to_ms: int, most: int) -> list[Column]:
    """Returns at most `most` columns, without gap or overlap, that cover the time: as narrow as they can be.

    All columns have the same width, except that a longer slot is a column by itself. Columns are whole, so the first may begin
    before `from_ms` and the last may end after `to_ms`.
    """
    wanted = sorted(key for key in keys if key.begin_ms < to_ms and key.end_ms > from_ms)
    for width_ms in _widths():
        found: list[Column] = []
        for column in _columns(wanted, from_ms, to_ms, width_ms):
            found.append(column)
            if len(found) > most:
                break
        else:
            return found
    raise AssertionError("a width is enough once it is longer than the time")


def _widths() -> Iterator[int]:
    """The lengths of the tiers, with steps between those that are far apart, then twice as much each time.

    Each is a multiple of the one before, so that slots fit into columns.
    """
    yield from sorted({*(tier.length_ms for tier in TIERS), 60 * MINUTE_MS, 120 * MINUTE_MS})
    yield from (TIERS[-1].length_ms << doublings for doublings in count(1))


def _columns(keys: Sequence[SlotKey], from_ms: int, to_ms: int, width_ms: int) -> Iterator[Column]:
    time = from_ms - from_ms % width_ms
    group: list[SlotKey] = []
    for key in keys:
        begin_ms = key.begin_ms - key.begin_ms % width_ms
        if group and begin_ms >= time + width_ms:
            yield Column(time, time + width_ms, tuple(group))
            time, group = time + width_ms, []
        if key.end_ms - key.begin_ms >= width_ms:
            yield from _unknown(time, key.begin_ms, width_ms)
            yield Column(key.begin_ms, key.end_ms, (key,))
            time = key.end_ms
        else:
            yield from _unknown(time, begin_ms, width_ms)
            time = begin_ms
            group.append(key)
    if group:
        yield Column(time, time + width_ms, tuple(group))
        time += width_ms
    yield from _unknown(time, to_ms, width_ms)


def _unknown(begin_ms: int, end_ms: int, width_ms: int) -> Iterator[Column]:
    for begin in range(begin_ms, end_ms, width_ms):
        yield Column(begin, begin + width_ms, ())
