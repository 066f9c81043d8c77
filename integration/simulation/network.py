"""The network between simulated processes: late, lossy, held back, cut in two, one-way."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

MEAN_DELAY = 0.004
"""As long as it takes to have much under way at any moment; virtual time costs nothing."""

SLOW_DELAY = 0.1
ORDER_SECONDS = 1e-6
GIVE_UP = 2.0
"""Seconds until a caller without an answer gets an error."""


class Lost(Exception):
    """No answer. The call may have had its effect, unless `nobody` lives there."""

    def __init__(self, why: str, *, nobody: bool = False) -> None:
        super().__init__(why)
        self.nobody = nobody


class Network:
    """Messages from one process to another arrive in order, or not at all; those of different pairs overtake each other."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._arrivals: dict[tuple[str, str], float] = {}
        self._cut: dict[tuple[str, str], None] = {}
        self._held: dict[tuple[str, str], float] = {}
        self._late: dict[asyncio.Task[Any], None] = {}
        self.loss = 0.0
        self.slow = 0.0
        self.calls = 0

    def cut(self, source: str, target: str) -> None:
        """Nothing gets from source to target any more."""
        self._cut[source, target] = None

    def join(self, source: str, target: str) -> None:
        """The way from source to target is open again."""
        self._cut.pop((source, target), None)

    def reopen(self, source: str) -> None:
        """All ways from source are open again."""
        for way in [way for way in self._cut if way[0] == source]:
            self.join(*way)

    def hold(self, source: str, target: str, seconds: float) -> None:
        """Waits for the delay from source to target. Messages arrive in order, even if the caller has given up."""
        self._held[source, target] = asyncio.get_running_loop().time() + seconds

    def heal(self) -> None:
        """All ways are open again."""
        self._cut.clear()

    async def call(self, source: str, target: str, serve: Callable[[], Awaitable[T] | None]) -> T:
        """Runs `serve` at the target if the message arrives. `serve` returns None when the target is down. Raises Lost."""
        self.calls += 1
        try:
            async with asyncio.timeout(GIVE_UP):
                if self._held.get((source, target), 0.0) > asyncio.get_running_loop().time():
                    return await asyncio.shield(self._keep(self._exchange(source, target, serve)))
                return await self._exchange(source, target, serve)
        except TimeoutError:
            raise Lost(f"{target} does not answer {source}") from None

    async def _exchange(self, source: str, target: str, serve: Callable[[], Awaitable[T] | None]) -> T:
        await self._travel(source, target)
        answer = serve()
        if answer is None:
            await asyncio.sleep(MEAN_DELAY)
            raise Lost(f"nobody at {target}", nobody=True)
        result = await answer
        await self._travel(target, source)
        return result

    def _keep(self, exchange: Coroutine[None, None, T]) -> "asyncio.Task[T]":
        """A message that is held back outlives its sender's patience, and its sender."""
        task = asyncio.create_task(exchange)
        self._late[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._late.pop(task, None)
        if not task.cancelled():
            task.exception()  # nobody may wait for it any more

    async def _travel(self, source: str, target: str) -> None:
        if (source, target) in self._cut or self._rng.random() < self.loss:
            await asyncio.Event().wait()
        mean = SLOW_DELAY if self._rng.random() < self.slow else MEAN_DELAY
        loop = asyncio.get_running_loop()
        arrival = loop.time() + self._rng.expovariate(1 / mean)
        way = (source, target)
        # timers of one instant fire in any order: each message arrives a little later than the one before
        arrival = max(arrival, self._held.get(way, 0.0), self._arrivals.get(way, 0.0) + ORDER_SECONDS)
        self._arrivals[source, target] = arrival
        await _at(arrival)


async def _at(when: float) -> None:
    """Returns at a moment of the loop's time, exactly: what waits for an earlier one goes first."""
    loop = asyncio.get_running_loop()
    reached = loop.create_future()
    timer = loop.call_at(when, reached.set_result, None)
    try:
        await reached
    finally:
        timer.cancel()
