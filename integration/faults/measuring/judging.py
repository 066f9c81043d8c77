"""Turns a load's attempts into figures."""

import asyncio
from collections.abc import Iterable, Sequence
from statistics import median

from model.linearizability import violations

from dstk.v1 import admin_pb2
from dstk_service.errors import DstkError
from dstk_service.testing import eventually
from faults.attempts import Attempt, failures, longest_pause, summary
from faults.load import Load
from faults.measuring.model import Figure
from faults.scenario import Scenario, unexpected_lines

LOST = "keys with a lost or stale write"
FAILED = "failed requests"
PAUSE_GOAL_MS = 200.0
COMPARE_SECONDS = 30.0
CALM_SECONDS = 3.0


async def lost(scenarios: Sequence[Scenario]) -> Figure:
    """The number of keys whose history is not linearizable; differing replicas count as one. Call it after the load."""
    histories = [await asyncio.to_thread(violations, scenario.load.history) for scenario in scenarios]
    differing = await _replicas_differ(scenarios[-1])
    return Figure(LOST, sum(map(len, histories)) + differing, goal=0, promised=True)


async def _replicas_differ(scenario: Scenario) -> bool:
    """Compares all replicas. Raises AssertionError when they cannot be compared."""

    async def could_be_compared() -> bool:
        nonlocal answers
        try:
            answers = [
                await scenario.operator.compare(status.partition.id) for status in await scenario.operator.partitions()
            ]
        except DstkError as refusal:
            raise AssertionError(f"replicas cannot be compared: {refusal}") from refusal
        return all(replica.complete for answer in answers for replica in answer.replicas)

    answers: list[admin_pb2.RepairPartitionResponse] = []
    await eventually(could_be_compared, within=COMPARE_SECONDS)
    return any(replica.differing for answer in answers for replica in answer.replicas)


def failed(attempts: Iterable[Attempt]) -> Figure:
    """The number of failed calls; the promise is none."""
    return Figure(FAILED, len(failures(attempts)), goal=0, promised=True)


def pauses(seconds: Sequence[float], calm: float) -> list[Figure]:
    """The longest pause of a key during each change, and without changes, for comparison."""
    return [
        Figure("longest pause of a key", max(seconds) * 1000, "ms", PAUSE_GOAL_MS),
        Figure("the same, median of the changes", median(seconds) * 1000, "ms"),
        Figure("the same, while nothing changed", calm * 1000, "ms"),
    ]


async def calm_span(scenario: Scenario) -> slice:
    """The load's calls of a few seconds, before anything is changed."""
    mark = len(scenario.load.attempts)
    await scenario.runs_for(CALM_SECONDS)
    return slice(mark, len(scenario.load.attempts))


def pause_in(load: Load, span: slice) -> float:
    """The longest pause of any key, in seconds, among these calls. Call it after the load: it would delay the callers."""
    return longest_pause(load.attempts[span]).seconds


def too_little(load: Load) -> str:
    """Why the load proves nothing; empty: it was enough."""
    try:
        load.check_that_it_was_enough()
    except AssertionError as reason:
        return str(reason)
    return ""


def remarks(scenario: Scenario) -> list[str]:
    """Remarks: failures by kind, how long this process delayed its callers, unexpected log lines."""
    found = [f"this process delayed its callers by {scenario.load.stutter * 1000:.0f} ms at most"]
    if said := summary(failures(scenario.load.attempts)):
        found.append(f"failed: {said}")
    return found + [f"unexpected_lines: {line}" for line in unexpected_lines(scenario.cluster, scenario.logged)]
