"""What the load has seen, as figures."""

import asyncio
from collections.abc import Iterable, Sequence
from statistics import median

import grpc
from model.linearizability import violations

from dstk.v1 import admin_pb2
from dstk_service.testing import eventually
from faults.attempts import Attempt, failures, longest_pause, summary
from faults.load import Load
from faults.measuring.model import Figure
from faults.stage import Stage, unforeseen

LOST = "keys with a lost or stale write"
FAILED = "failed requests"
PAUSE_GOAL_MS = 200.0
COMPARE_SECONDS = 30.0
CALM_SECONDS = 3.0


async def lost(stages: Sequence[Stage]) -> Figure:
    """Keys whose history no order of the calls explains; replicas that differ count as one. Call it after the load."""
    histories = [await asyncio.to_thread(violations, stage.load.history) for stage in stages]
    differing = await _replicas_differ(stages[-1])
    return Figure(LOST, sum(map(len, histories)) + differing, goal=0, promised=True)


async def _replicas_differ(stage: Stage) -> bool:
    """Raises AssertionError when that cannot be found out."""

    async def could_be_compared() -> bool:
        nonlocal answers
        try:
            answers = [
                await stage.operator.compare(status.partition.id) for status in await stage.operator.partitions()
            ]
        except grpc.aio.AioRpcError as refusal:
            raise AssertionError(f"replicas cannot be compared: {refusal.details()}") from refusal
        return all(replica.complete for answer in answers for replica in answer.replicas)

    answers: list[admin_pb2.RepairPartitionResponse] = []
    await eventually(could_be_compared, within=COMPARE_SECONDS)
    return any(replica.differing for answer in answers for replica in answer.replicas)


def failed(attempts: Iterable[Attempt]) -> Figure:
    """None may fail."""
    return Figure(FAILED, len(failures(attempts)), goal=0, promised=True)


def pauses(seconds: Sequence[float], calm: float) -> list[Figure]:
    """Of the longest pause of a key during each change, and while nothing changed: what the load alone costs here."""
    return [
        Figure("longest pause of a key", max(seconds) * 1000, "ms", PAUSE_GOAL_MS),
        Figure("the same, median of the changes", median(seconds) * 1000, "ms"),
        Figure("the same, while nothing changed", calm * 1000, "ms"),
    ]


async def calm_span(stage: Stage) -> slice:
    """The load's calls of a few seconds, before anything is changed."""
    mark = len(stage.load.attempts)
    await stage.goes_on_for(CALM_SECONDS)
    return slice(mark, len(stage.load.attempts))


def pause_in(load: Load, span: slice) -> float:
    """The longest of any key, in seconds, among these calls. Call it after the load: it would hold the callers up."""
    return longest_pause(load.attempts[span]).seconds


def too_little(load: Load) -> str:
    """Why the load shows nothing; empty: it was enough."""
    try:
        load.check_that_it_was_enough()
    except AssertionError as reason:
        return str(reason)
    return ""


def remarks(stage: Stage) -> list[str]:
    """What went on besides: failures by kind, how long this process held itself up, log lines that nobody foresaw."""
    found = [f"this process held its callers up for {stage.load.stutter * 1000:.0f} ms at most"]
    if said := summary(failures(stage.load.attempts)):
        found.append(f"failed: {said}")
    return found + [f"unforeseen: {line}" for line in unforeseen(stage.cluster, stage.logged)]
