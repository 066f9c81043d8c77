"""Planned changes of the map: transfers, splits, merges, moves of busy partitions."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from dstk_keytypes import Key
from faults.measuring import judging
from faults.measuring.bed import cluster_of, several_partitions
from faults.measuring.model import Measured, Settings, Tell
from faults.measuring.values import fill
from faults.scenario import LETTERS, Access, Scenario, scenario_on

NAME = "changes"
SPLIT, MOVED = "afk", "pu"
"""The partitions that are split and merged, and those that are moved, by their letters."""

MOVED_RECORDS = 20_000
"""Records of 1 KiB in each partition that is moved, so that the copy takes some time."""

COPY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a cluster."""

    name: str
    make: Callable[[Access], Awaitable[None]]


async def measure(settings: Settings, tell: Tell) -> Measured:
    """Runs on four nodes: on three, a partition of three replicas has no node to move to."""
    async with cluster_of(settings, **several_partitions(4)) as access:
        await access.operator.pause_controller()
        for letter in MOVED:
            tell(0.0, "filling the partitions that will be moved")
            await _fill(access, letter)
        async with scenario_on(access, NAME) as scenario:
            calm = await judging.calm_span(scenario)
            spans = await _make_all(access, scenario, settings, tell)
        found = {name: judging.pause_in(scenario.load, span) for name, span in spans.items()}
        seconds = list(found.values())
        pauses = judging.pauses(seconds, judging.pause_in(scenario.load, calm))
        figures = [judging.failed(scenario.load.attempts), await judging.lost([scenario]), *pauses]
        longest = max(found, key=lambda name: found[name])
        notes = [f"the longest pause was during: {longest}", *judging.remarks(scenario)]
        return Measured(NAME, figures, seconds, judging.too_little(scenario.load), notes)


async def _make_all(access: Access, scenario: Scenario, settings: Settings, tell: Tell) -> dict[str, slice]:
    """Which of the load's calls ended during each change."""
    spans = {}
    changes = list(_changes(settings))
    for number, change in enumerate(changes):
        tell(number / len(changes), change.name)
        await access.operator.healed()
        mark = len(scenario.load.attempts)
        await change.make(access)
        await scenario.calls_are_answered()
        spans[change.name] = slice(mark, len(scenario.load.attempts))
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
    """Splits or merges at a key with load on both sides."""
    return Key.text(f"{letter}/{NAME}/3")


def _switch(letter: str) -> Callable[[Access], Awaitable[None]]:
    async def make(access: Access) -> None:
        entry = await access.operator.partition_of(Key.text(f"{letter}/"))
        await access.operator.transfer(entry.id)

    return make


def _split(at: Key) -> Callable[[Access], Awaitable[None]]:
    return lambda access: access.operator.split(at)


def _merge(at: Key) -> Callable[[Access], Awaitable[None]]:
    return lambda access: access.operator.merge(at)


def _move(letter: str) -> Callable[[Access], Awaitable[None]]:
    async def make(access: Access) -> None:
        """Moves the partition off its primary: a new replica is added elsewhere and becomes primary."""
        operator = access.operator
        entry = await operator.partition_of(Key.text(f"{letter}/"))
        target = next(name for name in access.cluster.names if name not in entry.replicas)
        await operator.move(entry.id, entry.primary, target, within=COPY_SECONDS)

    return make


async def _fill(access: Access, letter: str) -> None:
    await fill(access.clients[0], lambda number: Key.text(f"{letter}/fill/{number:09d}"), MOVED_RECORDS, 1024)
