"""etcd is killed and stays away: does anybody notice who does not want to change the map?"""

import asyncio

from faults.measuring import judging
from faults.measuring.bed import cluster_of, several_partitions
from faults.measuring.model import Figure, Measured, Settings, Tell
from faults.stage import Stage, on_stage

NAME = "etcd"
TICK_SECONDS = 0.25


async def measure(settings: Settings, tell: Tell) -> Measured:
    """One load over the whole time."""
    async with cluster_of(settings, **several_partitions(3)) as hands:
        async with on_stage(hands, NAME) as stage:
            mark = len(stage.load.attempts)
            hands.cluster.kill("etcd")
            await _wait(settings.etcd_seconds, tell)
            await hands.cluster.start("etcd")
            tell(1.0, "etcd is back")
            await stage.calls_are_answered()
        return await _judged(stage, mark)


async def _wait(seconds: float, tell: Tell) -> None:
    ticks = max(1, round(seconds / TICK_SECONDS))
    for tick in range(ticks):
        tell(tick / ticks, "without etcd")
        await asyncio.sleep(seconds / ticks)


async def _judged(stage: Stage, mark: int) -> Measured:
    load = stage.load
    figures = [
        judging.failed(load.attempts),
        await judging.lost([stage]),
        Figure("longest pause of a key", judging.pause_in(load, slice(mark, None)) * 1000, "ms"),
        Figure("requests", len(load.attempts) - mark),
    ]
    return Measured(NAME, figures, (), judging.too_little(load), judging.remarks(stage))
