"""The closed loop: a fixed number of callers, each with exactly one call in flight.

Every system is driven by this one function on one uvloop, so that differences are the systems' and their clients' own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns

from hdrh.histogram import HdrHistogram

from dstk_bench.model import Round

_LOWEST_NS, _HIGHEST_NS, _DIGITS = 1, 60_000_000_000, 3

Call = Callable[[], Awaitable[int]]
"""One call; returns the number of units it handled. 0 means that no work is left, and ends the caller."""


@dataclass(slots=True)
class Sample:
    """The measurements of a closed loop: units, wall time in seconds, latency of each call in nanoseconds."""

    units: int
    seconds: float
    latencies_ns: list[int]


class Latencies:
    """A histogram of latencies, with three significant digits, up to one minute."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS)

    def record(self, latencies_ns: Sequence[int]) -> None:
        """Adds latencies in nanoseconds."""
        for each in latencies_ns:
            self._histogram.record_value(min(max(each, _LOWEST_NS), _HIGHEST_NS))

    def percentile_us(self, percent: float) -> float:
        """The latency percentile in microseconds; 0 without calls."""
        return float(self._histogram.get_value_at_percentile(percent)) / 1000


async def closed_loop(calls: Sequence[Call], seconds: float) -> Sample:
    """Repeats each call, in a task of its own, for `seconds`. Raises an ExceptionGroup if a call fails."""
    latencies: list[int] = []
    begin = perf_counter_ns()
    deadline = begin + int(seconds * 1e9)
    async with asyncio.TaskGroup() as callers:
        running = [callers.create_task(_caller(call, deadline, latencies)) for call in calls]
    elapsed = (perf_counter_ns() - begin) / 1e9
    return Sample(sum(each.result() for each in running), elapsed, latencies)


async def _caller(call: Call, deadline: int, latencies: list[int]) -> int:
    done, now = 0, perf_counter_ns()
    while now < deadline:
        units = await call()
        if not units:
            break
        before, now = now, perf_counter_ns()
        latencies.append(now - before)
        done += units
    return done


def summarize(sample: Sample) -> Round:
    """One round's figures."""
    latencies = Latencies()
    latencies.record(sample.latencies_ns)
    return Round(sample.units, sample.seconds, latencies.percentile_us(50), latencies.percentile_us(99))
