"""The whole cluster at one moment, as sums over its partitions."""

from collections.abc import Sequence
from dataclasses import dataclass

from dstk_metrics.domain import latency
from dstk_metrics.domain.book import Book, ages
from dstk_metrics.domain.report import Floats, State
from dstk_metrics.domain.tellers import Teller


@dataclass(frozen=True, slots=True)
class Totals:
    """`rates`: by Counter, of the partitions whose figures are fresh. `state`: by State; records, bytes and their errors are of
    the partitions that are counted, the lag is the largest of all. `read`, `write`: median and 99th percentile in seconds.
    `free_bytes`, `capacity_bytes`: of the nodes that report.
    """

    rates: Floats
    state: Floats
    read: tuple[float, float]
    write: tuple[float, float]
    partitions: int
    serving: int
    stale: int
    uncounted: int
    replicas: int
    in_sync: int
    nodes: int
    reporting: int
    free_bytes: int
    capacity_bytes: int


def totals(book: Book, now: float, stale_after_s: float) -> Totals:
    """Adds everything up, as of `now` (monotonic seconds)."""
    columns, slots = book.columns, book.layout.order
    fresh = ages(columns, slots, now) <= stale_after_s
    telling = [teller for teller in book.tellers.values() if now - teller.heard_at <= stale_after_s]
    state = columns.state[slots]
    return Totals(
        rates=columns.rates[slots[fresh]].sum(axis=0),
        state=_amounts(state),
        read=_percentiles(telling, 0),
        write=_percentiles(telling, 1),
        partitions=len(slots),
        serving=int((fresh & (state[:, State.SERVING] > 0)).sum()),
        stale=int((~fresh).sum()),
        uncounted=int((state[:, State.COUNTED] == 0).sum()),
        replicas=book.layout.replicas.total(),
        in_sync=book.layout.in_sync,
        nodes=len(book.nodes),
        reporting=len(telling),
        free_bytes=sum(teller.disk.free for teller in telling),
        capacity_bytes=sum(teller.disk.capacity for teller in telling),
    )


def _amounts(state: Floats) -> Floats:
    """Records, bytes and their errors of what is counted. Errors are added up: those of neighbours may have the same sign."""
    counted = state[state[:, State.COUNTED] > 0]
    amounts: Floats = counted.sum(axis=0)
    amounts[State.LAG_ENTRIES] = state[:, State.LAG_ENTRIES].max(initial=0)
    amounts[State.LAG_S] = state[:, State.LAG_S].max(initial=0)
    return amounts


def _percentiles(telling: Sequence[Teller], kind: int) -> tuple[float, float]:
    windows = [(teller.bounds, teller.windows[kind]) for teller in telling if teller.windows.shape[1]]
    if not windows:
        return 0.0, 0.0
    bounds, counts = latency.merged(windows)
    median, tail = (latency.percentile(counts[None], bounds, q)[0] for q in (latency.MEDIAN, latency.TAIL))
    return float(median), float(tail)
