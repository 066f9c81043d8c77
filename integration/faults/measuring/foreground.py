"""A maximal load, to measure the cost of background work for callers."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dstk_client import Client
from dstk_keytypes import Key
from dstk_service.errors import DstkError
from faults.measuring.values import noise

CALLERS = 64


@dataclass(slots=True)
class Foreground:
    """The answered calls so far."""

    answered: int = 0
    errors: list[DstkError] = field(default_factory=list)
    stop: bool = False


@dataclass(slots=True)
class Stretch:
    """Part of a foreground: what was answered in how many seconds."""

    answered: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


@asynccontextmanager
async def foreground(client: Client, keys: Callable[[int], Key], count: int, size: int) -> AsyncIterator[Foreground]:
    """Gets and puts in equal number, with values of `size` bytes, of the `count` keys of `keys`, until the block ends."""
    state = Foreground()
    async with asyncio.TaskGroup() as callers:
        for number in range(CALLERS):
            callers.create_task(_call(state, client, keys, count, size, number))
        try:
            yield state
        finally:
            state.stop = True


async def _call(
    state: Foreground, client: Client, keys: Callable[[int], Key], count: int, size: int, number: int
) -> None:
    rng, values = random.Random(number), noise(size, number % 4)
    while not state.stop:
        key = keys(rng.randrange(count))
        try:
            if rng.random() < 0.5:
                await client.put(key, next(values))
            else:
                await client.get(key)
            state.answered += 1
        except DstkError as error:
            state.errors.append(error)


@asynccontextmanager
async def stretch(state: Foreground) -> AsyncIterator[Stretch]:
    """Counts the calls of the foreground while the block runs."""
    found, began, before = Stretch(), time.monotonic(), state.answered
    yield found
    found.seconds, found.answered = time.monotonic() - began, state.answered - before
