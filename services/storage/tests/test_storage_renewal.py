"""A corrupt engine is emptied only when it is known that nobody needs what it holds."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from dstk_service.testing import eventually
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain.engine_reset import EngineReset
from dstk_storage.domain.replication.replicator import Replicator


class Home:
    """A replicator that has no replicas, and no map until `mapped` is set."""

    def __init__(self) -> None:
        self.mapped = asyncio.Event()
        self.replicas: dict[int, Any] = {}
        self.around = SimpleNamespace(me="me")
        self.planned = SimpleNamespace(leave=self._leave)
        self.retiring = False
        self.begun_anew = 0

    async def _leave(self) -> None: ...

    async def informed_at_all(self) -> None:
        await self.mapped.wait()

    def begin_anew(self) -> None:
        self.begun_anew += 1


class Clock:
    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        del seconds
        await asyncio.sleep(0)


async def test_before_the_map_is_known_nothing_is_thrown_away() -> None:
    engine, home = MemoryEngine(), Home()
    engine.corruption = "found by the sweep of expired records"

    async def replace(why: str) -> None:
        assert "found by the sweep" in why
        engine.reset({}, keep=False)

    task = asyncio.create_task(EngineReset(engine, cast("Replicator", home), replace, Clock()).run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not home.begun_anew
    home.mapped.set()
    await eventually(lambda: home.begun_anew == 1)
    assert not engine.corruption
    task.cancel()
