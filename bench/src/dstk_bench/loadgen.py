"""The closed loop: a fixed number of callers, each with one call under way, never two.

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
"""One call; returns how many units it did, 0 when there is nothing left to do, which ends its caller."""


@dataclass(slots=True)
class Sample:
    """What a closed loop saw: units, wall time in seconds, latency of each call in nanoseconds."""

    units: int
    seconds: float
    latencies_ns: list[int]


class Latencies:
    """Latencies of many calls, to three digits, up to a minute."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS)

    def record(self, latencies_ns: Sequence[int]) -> None:
        """Takes latencies in nanoseconds."""
        for each in latencies_ns:
            self._histogram.record_value(min(max(each, _LOWEST_NS), _HIGHEST_NS))

    def percentile_us(self, percent: float) -> float:
        """Microseconds that so many percent of the calls did not exceed; 0 when there were none."""
        return float(self._histogram.get_value_at_percentile(percent)) / 1000


async def closed_loop(calls: Sequence[Call], seconds: float) -> Sample:
    """Repeats each call by a caller of its own until the time is over. A call that fails ends the loop."""
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
