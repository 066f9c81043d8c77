"""Partitions in an order: by key, or by a figure."""

from dataclasses import dataclass

import numpy as np

from dstk_metrics.domain.book import Book
from dstk_metrics.domain.columns import RATE_COLUMNS, STATE_COLUMNS, Columns
from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.report import Floats, Numbers, State


@dataclass(frozen=True, slots=True)
class Wanted:
    """A list that is asked for. `end` b"": no end. `by` None: by key; otherwise largest first. `reverse`: the other way round;
    partitions whose figure is not known are the last ones all the same.
    """

    start: bytes = b""
    end: bytes = b""
    by: Figure | None = None
    reverse: bool = False
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """Slots in the order that was asked for; `total`: how many partitions the range has."""

    slots: Numbers
    total: int


def figure_of(columns: Columns, slots: Numbers, figure: Figure) -> Floats:
    """The figure of each of the slots; NaN where it is not known."""
    if figure in RATE_COLUMNS:
        values, known = columns.rates[slots][:, RATE_COLUMNS[figure]].sum(axis=1), columns.rated[slots]
    else:
        values, known = columns.state[slots, STATE_COLUMNS[figure]], columns.rated[slots]
        if figure is not Figure.LAG:
            known = known & (columns.state[slots, State.COUNTED] > 0)
    return np.where(known, values, np.nan)


def listed(book: Book, wanted: Wanted) -> Listed:
    """The partitions of a list. Ties are in order of keys."""
    first, until = book.layout.positions(wanted.start, wanted.end)
    slots = book.layout.order[first:until]
    if wanted.by is None:
        ordered = slots[::-1] if wanted.reverse else slots
    else:
        ordered = slots[_ranked(figure_of(book.columns, slots, wanted.by), reverse=wanted.reverse)]
    return Listed(ordered[wanted.offset : wanted.offset + wanted.limit], len(slots))


def _ranked(values: Floats, *, reverse: bool) -> Numbers:
    """Numbers of the values from the largest to the smallest, or reversed; then those that are NaN."""
    ranked = np.argsort(-values, kind="stable")  # NaN is sorted behind all others
    if reverse:
        known = len(values) - int(np.isnan(values).sum())
        ranked[:known] = ranked[:known][::-1].copy()
    return ranked
