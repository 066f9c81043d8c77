"""What the load has seen, as figures."""

import asyncio
from collections.abc import Iterable, Sequence
from statistics import median

from model.linearizability import violations

from faults.attempts import Attempt, failures, longest_pause, summary
from faults.load import Load
from faults.measuring.model import Figure
from faults.stage import Stage, unforeseen

LOST = "keys with a lost or stale write"
FAILED = "failed requests"
PAUSE_GOAL_MS = 200.0


async def lost(stages: Iterable[Stage]) -> Figure:
    """Keys whose history no order of the calls explains; a replica that differs counts as one. Call it after the load."""
    found = 0
    for stage in stages:
        found += len(await asyncio.to_thread(violations, stage.load.history))
        found += await _differing(stage)
    return Figure(LOST, found, goal=0, promised=True)


async def _differing(stage: Stage) -> int:
    try:
        await stage.operator.replicas_agree()
    except AssertionError:
        return 1
    return 0


def failed(attempts: Iterable[Attempt]) -> Figure:
    """None may fail."""
    return Figure(FAILED, len(failures(attempts)), goal=0, promised=True)


def pauses(seconds: Sequence[float]) -> list[Figure]:
    """Of the longest pause of a key during each change."""
    return [
        Figure("longest pause of a key", max(seconds) * 1000, "ms", PAUSE_GOAL_MS),
        Figure("the same, median of the changes", median(seconds) * 1000, "ms"),
    ]


def pause_since(load: Load, mark: int) -> float:
    """The longest of any key among the calls from the `mark`-th on."""
    return longest_pause(load.attempts[mark:]).seconds


def too_little(load: Load) -> str:
    """Why the load shows nothing; empty: it was enough."""
    try:
        load.check_that_it_was_enough()
    except AssertionError as reason:
        return str(reason)
    return ""


def remarks(stage: Stage) -> list[str]:
    """What went on besides: failures by kind, log lines that nobody foresaw, how long this process held itself up."""
    found = [f"this process held its callers up for {stage.load.stutter * 1000:.0f} ms at most"]
    if any(attempt.error for attempt in stage.load.attempts):
        found.append(f"failed: {summary(failures(stage.load.attempts))}")
    return found + [f"unforeseen: {line}" for line in unforeseen(stage.cluster, stage.logged)]
