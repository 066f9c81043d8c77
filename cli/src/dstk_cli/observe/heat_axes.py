"""The labels of the heat map's axes: keys and times. Pure."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo

from dstk_cli.untrusted import visible
from dstk_keytypes import Key

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_STEPS = (
    *(_MINUTE * count for count in (1, 2, 5, 10, 30)),
    *(_HOUR * count for count in (1, 2, 6, 12)),
    *(_DAY * count for count in (1, 2, 7, 14)),
)
"""Seconds between two labels of the axis of times."""


def key_label(start: bytes, most: int) -> str:
    """The start of a row as people read it, with at most so many characters: the middle is left out."""
    text = visible(Key.unchecked(start).display()) if start else "(first key)"
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail]}…{text[-tail:]}" if tail else f"{text[: most - 1]}…"


def labelled_rows(rows: int, pixels: int, apart: int) -> range:
    """The rows that get a label, so that labels are at least so many pixels apart."""
    return range(0, rows, max(1, -(-rows * apart // pixels)))


def time_ticks(first_ms: int, until_ms: int, most: int, zone: tzinfo | None = None) -> Iterator[tuple[int, str]]:
    """The times that get a label, at most so many: Unix ms and the text, in the zone; None: that of this machine.

    Times are whole steps after midnight, and a label names the day where that is another one than before.
    """
    seconds = (until_ms - first_ms) / 1000
    step = timedelta(seconds=next((each for each in _STEPS if seconds / each <= most), _STEPS[-1]))
    first, until = (datetime.fromtimestamp(each / 1000, zone).astimezone(zone) for each in (first_ms, until_ms))
    tick, day = first.replace(hour=0, minute=0, second=0, microsecond=0), None
    while tick <= until:
        if tick >= first:
            yield round(tick.timestamp() * 1000), f"{tick:%H:%M}" if tick.date() == day else f"{tick:%d %b %H:%M}"
            day = tick.date()
        tick += step


def fitted(text: str, width: float, measure: Callable[[str], float], shorten: Callable[[int], str]) -> str:
    """The text, or the longest shorter form of it that is not wider than `width`."""
    most = len(text)
    while most > 1 and measure(text) > width:
        most -= 1
        text = shorten(most)
    return text


def drawable(text: str, is_known: Callable[[str], bool]) -> str:
    """The text with every character that the font lacks as its escape."""
    return "".join(each if is_known(each) else each.encode("unicode_escape").decode() for each in text)


def spaced(count: int) -> Sequence[float]:
    """So many places from 0 to 1, both included."""
    return [at / (count - 1) for at in range(count)]
