"""The crash: one storage process is killed with SIGKILL while writes go on, and nothing acknowledged may be lost."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from dstk_cli.demo.basics import FIRST_EXTRA_ID
from dstk_cli.demo.places import key_of
from dstk_cli.demo.stage import Rate, Stage, StepFailedError
from dstk_cli.local.state import ChildState, Phase
from dstk_cli.waiting import until
from dstk_keytypes import Key, KeyRange
from dstk_service.errors import DstkError

WRITERS_PER_PARTITION = 4
_BEFORE = 2_000
_AFTER = 500
_WITHIN_S = 30.0
_PAUSE_S = 0.02


@dataclass(slots=True)
class Writes:
    """What the writers saw. `after` counts acknowledgements since the kill, by address of the partition's node."""

    acknowledged: int = 0
    failed: int = 0
    killed_at: float = 0.0
    first_after: dict[str, float] = field(default_factory=dict)
    after: Counter[str] = field(default_factory=Counter)

    def acknowledge(self, owner: str, began: float) -> None:
        """A write was acknowledged. Only one that began behind the kill tells that its node is back."""
        self.acknowledged += 1
        if self.killed_at and began > self.killed_at:
            self.after[owner] += 1
            self.first_after.setdefault(owner, time.monotonic() - self.killed_at)


class _Writer(NamedTuple):
    """Writes keys of one country, which lies in a partition of the node at the address `owner`."""

    owner: str
    country: str
    number: int


async def kill_one(stage: Stage, owners: list[tuple[str, str]]) -> None:
    """Kills the second storage process in the middle of writes to every partition.

    `owners` pairs each partition's node address with a country that lies in it.
    """
    stage.step("Kill one storage process with SIGKILL while writes go on")
    victim = stage.supervisor.state.children[2]  # behind etcd and the first storage process
    writes, stop = Writes(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number, (owner, country) in enumerate(owners * WRITERS_PER_PARTITION):
            group.create_task(_write(stage, writes, stop, _Writer(owner, country, number)))
        try:
            with stage.screen.status("  writing to all partitions ..."):
                await _watch(stage, writes, victim)
        finally:
            stop.set()
    _judge(stage, writes, victim)


async def _watch(stage: Stage, writes: Writes, victim: ChildState) -> None:
    await _until(lambda: writes.acknowledged >= _BEFORE, "the first writes")
    assert victim.process is not None
    stage.screen.print(f"  {writes.acknowledged:,} writes acknowledged so far")
    stage.code(f"kill -9 {victim.process.pid}   # {victim.name}")
    writes.killed_at = time.monotonic()
    os.kill(victim.process.pid, signal.SIGKILL)
    await _until(lambda: _now(stage, victim).restarts > victim.restarts, "the supervisor to notice")
    await _until(lambda: _now(stage, victim).phase is Phase.SERVING, "the node to serve again")
    await _until(lambda: writes.after[victim.address] >= _AFTER, "writes to the node that was killed")


async def _write(stage: Stage, writes: Writes, stop: asyncio.Event, writer: "_Writer") -> None:
    at = 0
    while not stop.is_set():
        key = key_of(writer.country, FIRST_EXTRA_ID + (writer.number + 1) * 10_000_000 + at)
        value, at, began = b'{"writer":%d,"write":%d}' % (writer.number, at), at + 1, time.monotonic()
        try:
            await stage.client.put(key, value, timeout=2.0)
        except DstkError:
            writes.failed += 1
            stage.unsure.add(key)
            await asyncio.sleep(_PAUSE_S)
        else:
            stage.model[key] = value
            writes.acknowledge(writer.owner, began)


def _judge(stage: Stage, writes: Writes, victim: ChildState) -> None:
    now = _now(stage, victim)
    back = writes.first_after[victim.address]
    assert victim.process is not None and now.process is not None  # noqa: PT018 - both serve
    others = sum(count for owner, count in writes.after.items() if owner != victim.address)
    stage.check(
        now.process != victim.process, f"the supervisor started it again: pid {victim.process.pid} -> {now.process.pid}"
    )
    stage.check(others > 0, f"the other nodes went on: {others:,} writes acknowledged there since the kill")
    stage.check(back < _WITHIN_S, f"writes to its partitions were acknowledged again {back:.2f} s after the kill")
    stage.screen.print(
        f"  in all {writes.acknowledged:,} writes acknowledged, {writes.failed:,} answered with an error"
        " (which may or may not have happened)"
    )


async def compare(stage: Stage) -> dict[Key, bytes]:
    """Every record that was ever acknowledged, against a scan of everything, which is returned."""
    stage.step("Nothing is lost")
    began = time.monotonic()
    with stage.screen.status("  scanning everything ..."):
        pages = stage.client.scan(KeyRange.tuple_prefix("city")).pages()
        found = {record.key: record.value async for page in pages for record in page}
    rate = Rate("scan of everything", len(found), time.monotonic() - began)
    stage.rates.append(rate)
    lost = [key for key, value in stage.model.items() if found.get(key) != value and key not in stage.unsure]
    strange = [key for key in found if key not in stage.model and key not in stage.unsure]
    stage.check(not lost, f"all {len(stage.model):,} acknowledged records are there, each with its value")
    kept = len(found) - len(stage.model)
    stage.check(
        not strange, f"there is nothing else, except for {kept:,} of the {len(stage.unsure):,} writes that failed"
    )
    places = sum(key in found for key in stage.places.records)
    stage.check(places == len(stage.places.records), f"all {places:,} places are among them")
    return found


def _now(stage: Stage, child: ChildState) -> ChildState:
    return next(now for now in stage.supervisor.state.children if now.name == child.name)


async def _as_coroutine(condition: Callable[[], bool]) -> bool:
    return condition()


async def _until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(_WITHIN_S):
            await until(partial(_as_coroutine, condition), _PAUSE_S)
    except TimeoutError:
        raise StepFailedError(f"waited {_WITHIN_S:g} s in vain for {what}") from None
