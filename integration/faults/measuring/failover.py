"""Kills a primary again and again: measures how long until others serve writes of all its partitions."""

import random
import time
from collections.abc import Mapping, Sequence
from statistics import median

from model.register import Outcome

from dstk_keytypes import Key
from dstk_service.errors import WriteAmbiguous
from dstk_service.testing import eventually
from faults.attempts import Attempt, failures, first_answer, summary
from faults.measuring import judging
from faults.measuring.bed import cluster_of, several_partitions
from faults.measuring.model import Figure, Measured, Settings, Tell
from faults.scenario import Access, Scenario, scenario_on, unexpected_lines

NAME = "failover"
GIVE_UP_SECONDS = 60.0
P50_GOAL, MAX_GOAL = 1.2, 2.0

LATEST_KILL = 0.5
"""Seconds after the warm-up: kills strike at every phase of heartbeats and leases."""


async def measure(settings: Settings, tell: Tell) -> Measured:
    """Fresh keys for each kill, so that each history is short enough to be checked."""
    rng = random.Random(1)
    seconds: list[float] = []
    rounds: list[Scenario] = []
    async with cluster_of(settings, **several_partitions(3)) as access:
        for number in range(settings.kills):
            tell(number / settings.kills, f"kill {number + 1} of {settings.kills}")
            async with scenario_on(access, f"kill-{number}") as scenario:
                seconds.append(await _kill_one(access, scenario, rng))
            rounds.append(scenario)
        tell(1.0, "looking for lost writes")
        return await _judged(seconds, rounds)


async def _kill_one(access: Access, scenario: Scenario, rng: random.Random) -> float:
    await scenario.runs_for(rng.uniform(0, LATEST_KILL))
    victim = await access.operator.primary_of(rng.choice(scenario.load.keys))
    led = await led_by(access, victim, scenario.load.keys)
    mark, killed = len(scenario.load.attempts), time.monotonic()
    access.cluster.kill(victim)

    def all_written() -> bool:
        return _until_written(scenario.load.attempts[mark:], killed, led) < GIVE_UP_SECONDS

    await eventually(all_written, within=GIVE_UP_SECONDS)
    await access.cluster.start(victim)
    return _until_written(scenario.load.attempts[mark:], killed, led)


async def led_by(access: Access, node: str, keys: Sequence[Key]) -> Mapping[int, set[Key]]:
    """The keys whose partitions a node leads, by partition."""
    entries = [status.partition for status in await access.operator.partitions()]
    owners = {key: next(entry for entry in reversed(entries) if entry.start <= key) for key in keys}
    return {
        entry.id: {key for key, owner in owners.items() if owner.id == entry.id}
        for entry in entries
        if entry.primary == node
    }


def _until_written(attempts: Sequence[Attempt], killed: float, led: Mapping[int, set[Key]]) -> float:
    def written(keys: set[Key]) -> float:
        return first_answer(attempts, killed, lambda attempt: attempt.key in keys and _succeeded(attempt))

    return max(map(written, led.values()))


def _succeeded(attempt: Attempt) -> bool:
    """A refused precondition is an answer, but no write."""
    done = attempt.operation is not None and attempt.operation.outcome is Outcome.DONE
    return attempt.is_write and done


async def _judged(seconds: Sequence[float], rounds: Sequence[Scenario]) -> Measured:
    problems = [problem for scenario in rounds for problem in failures(scenario.load.attempts)]
    others = [problem for problem in problems if not isinstance(problem.error, WriteAmbiguous)]
    figures = [
        Figure("until writes of all partitions, p50", median(seconds), "s", P50_GOAL),
        Figure("until writes of all partitions, longest", max(seconds), "s", MAX_GOAL),
        await judging.lost(rounds),
        judging.failed(others),
        Figure("writes with unknown outcome", len(problems) - len(others)),
    ]
    reasons = [reason for scenario in rounds if (reason := judging.too_little(scenario.load))]
    notes = [f"failed: {summary(others)}"] if others else []
    notes += [f"unexpected_lines: {line}" for line in unexpected_lines(rounds[0].cluster, rounds[0].logged)]
    return Measured(NAME, figures, seconds, "; ".join(reasons[:1]), notes)
