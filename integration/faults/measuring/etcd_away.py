"""Measures calls while etcd is down: only changes of the map may wait."""

import asyncio

from faults.measuring import judging
from faults.measuring.bed import cluster_of, several_partitions
from faults.measuring.model import Figure, Measured, Settings, Tell
from faults.scenario import Scenario, scenario_on

NAME = "etcd"
TICK_SECONDS = 0.25


async def measure(settings: Settings, tell: Tell) -> Measured:
    """One load over the whole time."""
    async with cluster_of(settings, **several_partitions(3)) as access:
        async with scenario_on(access, NAME) as scenario:
            mark = len(scenario.load.attempts)
            access.cluster.kill("etcd")
            await _wait(settings.etcd_seconds, tell)
            await access.cluster.start("etcd")
            tell(1.0, "etcd is back")
            await scenario.calls_are_answered()
        return await _judged(scenario, mark)


async def _wait(seconds: float, tell: Tell) -> None:
    ticks = max(1, round(seconds / TICK_SECONDS))
    for tick in range(ticks):
        tell(tick / ticks, "without etcd")
        await asyncio.sleep(seconds / ticks)


async def _judged(scenario: Scenario, mark: int) -> Measured:
    load = scenario.load
    figures = [
        judging.failed(load.attempts),
        await judging.lost([scenario]),
        Figure("longest pause of a key", judging.pause_in(load, slice(mark, None)) * 1000, "ms"),
        Figure("requests", len(load.attempts) - mark),
    ]
    return Measured(NAME, figures, (), judging.too_little(load), judging.remarks(scenario))
