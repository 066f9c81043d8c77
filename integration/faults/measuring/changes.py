"""Planned changes of the map: transfers, splits, merges, moves of busy partitions."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from dstk_keytypes import Key
from faults.measuring import judging
from faults.measuring.bed import cluster_of, several_partitions
from faults.measuring.model import Measured, Settings, Tell
from faults.measuring.values import fill
from faults.stage import LETTERS, Hands, Stage, on_stage

NAME = "changes"
SPLIT, MOVED = "afk", "pu"
"""The partitions that are split and merged, and those that are moved, by their letters."""

MOVED_RECORDS = 20_000
"""Of 1 KiB, in each partition that is moved, so that the copy takes a while."""

COPY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to a cluster."""

    name: str
    make: Callable[[Hands], Awaitable[None]]


async def measure(settings: Settings, tell: Tell) -> Measured:
    """On four nodes, for three replicas leave nowhere to move to on three."""
    async with cluster_of(settings, **several_partitions(4)) as hands:
        await hands.operator.pause_controller()
        for letter in MOVED:
            tell(0.0, "filling the partitions that will be moved")
            await _fill(hands, letter)
        async with on_stage(hands, NAME) as stage:
            calm = await judging.calm_span(stage)
            spans = await _make_all(hands, stage, settings, tell)
        found = {name: judging.pause_in(stage.load, span) for name, span in spans.items()}
        seconds = list(found.values())
        pauses = judging.pauses(seconds, judging.pause_in(stage.load, calm))
        figures = [judging.failed(stage.load.attempts), await judging.lost([stage]), *pauses]
        longest = max(found, key=lambda name: found[name])
        notes = [f"the longest pause was during: {longest}", *judging.remarks(stage)]
        return Measured(NAME, figures, seconds, judging.too_little(stage.load), notes)


async def _make_all(hands: Hands, stage: Stage, settings: Settings, tell: Tell) -> dict[str, slice]:
    """Which of the load's calls ended during each change."""
    spans = {}
    changes = list(_changes(settings))
    for number, change in enumerate(changes):
        tell(number / len(changes), change.name)
        await hands.operator.healed()
        mark = len(stage.load.attempts)
        await change.make(hands)
        await stage.calls_are_answered()
        spans[change.name] = slice(mark, len(stage.load.attempts))
    return spans


def _changes(settings: Settings) -> Iterator[Change]:
    for number in range(settings.switches):
        yield Change(f"switch {number + 1}", _switch(LETTERS[number % len(LETTERS)]))
    for letter in SPLIT:
        yield Change(f"split in {letter!r}", _split(_middle(letter)))
    for letter in SPLIT:
        yield Change(f"merge in {letter!r}", _merge(_middle(letter)))
    for letter in MOVED:
        yield Change(f"move of {letter!r}", _move(letter))


def _middle(letter: str) -> Key:
    """Load is on both sides of it."""
    return Key.text(f"{letter}/{NAME}/3")


def _switch(letter: str) -> Callable[[Hands], Awaitable[None]]:
    async def make(hands: Hands) -> None:
        entry = await hands.operator.partition_of(Key.text(f"{letter}/"))
        await hands.operator.transfer(entry.id)

    return make


def _split(at: Key) -> Callable[[Hands], Awaitable[None]]:
    return lambda hands: hands.operator.split(at)


def _merge(at: Key) -> Callable[[Hands], Awaitable[None]]:
    return lambda hands: hands.operator.merge(at)


def _move(letter: str) -> Callable[[Hands], Awaitable[None]]:
    async def make(hands: Hands) -> None:
        """Off its primary: a replica is made elsewhere and takes over."""
        operator = hands.operator
        entry = await operator.partition_of(Key.text(f"{letter}/"))
        target = next(name for name in hands.cluster.names if name not in entry.replicas)
        await operator.move(entry.id, entry.primary, target, within=COPY_SECONDS)

    return make


async def _fill(hands: Hands, letter: str) -> None:
    await fill(hands.clients[0], lambda number: Key.text(f"{letter}/fill/{number:09d}"), MOVED_RECORDS, 1024)
