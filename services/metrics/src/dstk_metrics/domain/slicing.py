"""Slices for the history: what each partition did since the last slice, and spans of time that are true."""

import numpy as np

from dstk_metrics.domain.book import Book, ages
from dstk_metrics.domain.columns import RATE_COLUMNS, STATE_COLUMNS
from dstk_metrics.domain.figures import AMOUNTS, RATES
from dstk_metrics.domain.report import Flags, Floats, State
from dstk_metrics.domain.slices import Slice

DRIFT_MS = 1_000
"""By so much the wall clock may differ from the monotonic one in a span before it counts as set."""
FAR_BACK_MS = 600_000
"""A wall clock that is set back by more does not come to the end of the last span soon."""


class Spans:
    """Names the spans of slices in Unix ms. The wall clock says when a span ends, the monotonic one how long it took.

    Invariant: a span is longer than 0 and begins at the end of the last one or later, even if the wall clock is set. The one
    exception is a clock that is set back by more than FAR_BACK_MS: it was wrong before. Then spans begin again at the new time,
    and what the history has from then on came from the wrong clock.
    """

    def __init__(self, wall_ms: int, monotonic: float) -> None:
        self._end_ms, self._at = wall_ms, monotonic

    def next(self, wall_ms: int, monotonic: float) -> tuple[int, int] | None:
        """Begin and end of the span since the last call; None when all of its time was named before."""
        elapsed_ms = round((monotonic - self._at) * 1000)
        begin_ms, self._at = wall_ms - elapsed_ms, monotonic
        set_back_ms = self._end_ms - begin_ms
        if abs(set_back_ms) <= DRIFT_MS or (set_back_ms > 0 and self._end_ms - wall_ms < FAR_BACK_MS):
            begin_ms = self._end_ms
        if begin_ms >= wall_ms:
            return None
        self._end_ms = wall_ms
        return begin_ms, wall_ms


def take_slice(book: Book, span: tuple[int, int], now: float, stale_after_s: float) -> Slice:
    """What all partitions did since the last call. `span`: begin and end, Unix ms. `now`: monotonic seconds."""
    columns, slots = book.columns, book.layout.order
    known = ages(columns, slots, now) <= stale_after_s
    covered, spent = columns.covered[slots], columns.spent[slots]
    means = np.divide(spent, covered[:, None], out=columns.rates[slots], where=covered[:, None] > 0)
    means[(covered == 0) & ~known] = np.nan
    values = [means[:, RATE_COLUMNS[figure]].sum(axis=1) for figure in RATES]
    values += [_amounts(columns.state[slots], known, STATE_COLUMNS[figure]) for figure in AMOUNTS]
    columns.spent[slots], columns.covered[slots] = 0, 0
    return Slice(*span, tuple(book.layout.starts), np.array(values, np.float32))


def _amounts(state: Floats, known: Flags, column: State) -> Floats:
    return np.where(known & (state[:, State.COUNTED] > 0), state[:, column], np.nan)
