"""Constant mixed load: callers on a few dozen keys, each call noted for the checker and for the clock."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from model.register import Kind, Operation, Outcome

from dstk_client import Client
from dstk_keytypes import Key
from dstk_service.errors import AlreadyExists, DeadlineExceeded, DstkError, EtagMismatched, WriteAmbiguous
from faults.attempts import Attempt

WRITES = (Kind.PUT, Kind.PUT, Kind.PUT, Kind.PUT_IF_ETAG, Kind.PUT_IF_ETAG, Kind.PUT_IF_ABSENT, Kind.DELETE)
THINK_SECONDS = 0.01
"""The mean pause between two calls of one caller: the load should be constant, not maximal."""

FEWEST_CALLS_A_KEY_AND_SECOND = 2.5
"""The least load that proves anything."""

Answer = tuple[Outcome, bytes | None, int]


@dataclass(slots=True)
class Load:
    """The attempts so far. `stutter`: the longest time for which this process itself delayed its callers."""

    keys: Sequence[Key]
    attempts: list[Attempt] = field(default_factory=list)
    etags: dict[Key, int] = field(default_factory=dict)
    """The newest etag that any caller has seen, by key."""
    began: float = field(default_factory=time.monotonic)
    ended: float = math.inf
    stutter: float = 0.0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def history(self) -> list[Operation]:
        """For the checker."""
        return [attempt.operation for attempt in self.attempts if attempt.operation is not None]

    def check_that_it_was_enough(self) -> None:
        """Raises AssertionError when a key had too few calls to detect a fault."""
        needed = FEWEST_CALLS_A_KEY_AND_SECOND * (min(self.ended, time.monotonic()) - self.began)
        for key in self.keys:
            calls = sum(attempt.key == key for attempt in self.attempts)
            assert calls >= needed, f"invalid run: {calls} calls of {key!r}, {needed:.0f} are needed"


@asynccontextmanager
async def load_on(clients: Sequence[Client], keys: Sequence[Key], *, seed: int = 1) -> AsyncIterator[Load]:
    """One caller for each client and key, until the block ends; then waits for the calls in progress."""
    rng = random.Random(seed)
    load = Load(keys)
    async with asyncio.TaskGroup() as callers:
        callers.create_task(_watch_ourselves(load))
        for number, (key, client) in enumerate((key, client) for key in keys for client in clients):
            callers.create_task(_Caller(load, f"c{number}", key, client, random.Random(rng.random())).run())
        try:
            yield load
        finally:
            load.stop.set()
            load.ended = time.monotonic()


async def _watch_ourselves(load: Load) -> None:
    tick = 0.005
    while not load.stop.is_set():
        begun = time.monotonic()
        await asyncio.sleep(tick)
        load.stutter = max(load.stutter, time.monotonic() - begun - tick)


class _Caller:
    """Alternates writes and reads of one key. Values are unique, so a read shows which write it saw."""

    def __init__(self, load: Load, name: str, key: Key, client: Client, rng: random.Random) -> None:
        self._load, self._name, self._key, self._client, self._rng = load, name, key, client, rng
        self._calls = 0

    async def run(self) -> None:
        """Calls until the load stops."""
        while not self._load.stop.is_set():
            self._calls += 1
            kind = Kind.GET if self._calls % 2 else self._rng.choice(WRITES)
            if kind is Kind.PUT_IF_ETAG and self._key not in self._load.etags:
                kind = Kind.PUT
            await self._once(kind, f"{self._name}-{self._calls}".encode())
            await asyncio.sleep(self._rng.expovariate(1 / THINK_SECONDS))

    async def _once(self, kind: Kind, value: bytes) -> None:
        if_etag = self._load.etags.get(self._key, 0) if kind is Kind.PUT_IF_ETAG else 0
        called, error, operation = time.monotonic(), None, None
        try:
            outcome, read, etag = await self._call(kind, value, if_etag)
        except DstkError as problem:
            error = problem
            if isinstance(problem, WriteAmbiguous | DeadlineExceeded):
                operation = Operation(self._key, kind, called, math.inf, Outcome.UNKNOWN, value, 0, if_etag)
        else:
            shown = read if kind is Kind.GET else value
            operation = Operation(self._key, kind, called, time.monotonic(), outcome, shown, etag, if_etag)
            if etag:
                self._load.etags[self._key] = etag
        self._load.attempts.append(Attempt(self._key, kind, called, time.monotonic(), error, operation))

    async def _call(self, kind: Kind, value: bytes, if_etag: int) -> Answer:
        client, key = self._client, self._key
        if kind is Kind.GET:
            record = await client.get(key)
            return (Outcome.MISSING, None, 0) if record is None else (Outcome.DONE, record.value, record.etag)
        if kind is Kind.DELETE:
            return (Outcome.DONE if await client.delete(key) else Outcome.MISSING), None, 0
        try:
            wanted = {"if_etag": if_etag} if kind is Kind.PUT_IF_ETAG else {"if_absent": kind is Kind.PUT_IF_ABSENT}
            return Outcome.DONE, None, await client.put(key, value, **wanted)
        except (AlreadyExists, EtagMismatched) as refusal:
            return Outcome.REFUSED, None, refusal.current_etag
