"""A cluster under load, on which a scenario plays; when it has ended, everything must be whole and explained."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import grpc
from kit.operators import Operator, operator_at
from model.linearizability import violations

from dstk_client import Client, connect
from dstk_keytypes import Key
from dstk_service.errors import DstkError
from dstk_service.testing import eventually
from faults.attempts import Attempt, Pause, failures, first_answer, longest_pause, summary
from faults.load import Load, load_on

SPLITS = ("f", "k", "p", "u")
LETTERS = "afkpu"
"""The keys of each partition begin with one of these."""

WARM_UP_SECONDS = 1.0
CALL_SECONDS = 10.0
"""What a caller waits: longer than any pause that is allowed, so that a failed call means a refusal, not impatience."""

HITCH_SECONDS = 3.0
TAKEOVER_SECONDS = 6.0
"""What a test allows for a planned change, and for a takeover, on a machine that does ten other things meanwhile: a test must
not depend on time. How long they really take, `make faults` measures.
"""


class Cluster(Protocol):
    """What a scenario plays on: processes, or containers."""

    names: list[str]
    """The storage nodes."""

    @property
    def speakers(self) -> list[str]:
        """The processes whose logs are ours."""

    @property
    def token(self) -> str | None:
        """What operators' calls must carry."""

    def address(self, name: str) -> str:
        """host:port of a storage node, or of the router ("router")."""

    def log(self, name: str) -> str:
        """Everything that a process has logged, over all its lives."""


C = TypeVar("C", bound=Cluster)


@dataclass(slots=True)
class Stage(Generic[C]):
    """What a scenario works with."""

    cluster: C
    operator: Operator
    load: Load
    logged: Mapping[str, int]
    """How much each process had logged when the scenario began."""
    controller_paused: bool = False
    """By this scenario, and so until its end."""

    async def primary_of_some(self) -> str:
        """A node that leads at least one partition."""
        return await self.operator.primary_of(self.load.keys[0])

    async def follower_of_all(self) -> str:
        """A node that leads nothing, after it has handed over what it led, until the end of the scenario: a controller that
        balances would hand it something at once.
        """
        self.controller_paused = True
        await self.operator.pause_controller()
        chosen = self.cluster.names[-1]
        for status in await self.operator.partitions():
            if status.partition.primary == chosen:
                await self.operator.transfer(status.partition.id)
        return chosen

    async def led_by(self, node: str) -> list[Key]:
        """The load's keys whose partitions the node leads."""
        return [key for key in self.load.keys if await self.operator.primary_of(key) == node]

    async def calls_are_answered(self, keys: Sequence[Key] | None = None, *, within: float = 10.0) -> float:
        """Waits until a write and a read of each key, made from now on, was answered; returns seconds that this took."""
        wanted = {(key, writes) for key in keys or self.load.keys for writes in (True, False)}
        begun = time.monotonic()
        await self._answered(wanted, begun, within)
        return max(first_answer(self.load.attempts, begun, _is(*each)) for each in wanted)

    async def reads_are_answered(self, *, within: float = 10.0) -> None:
        """Waits until a read of each key, made from now on, was answered."""
        await self._answered({(key, False) for key in self.load.keys}, time.monotonic(), within)

    async def _answered(self, wanted: set[tuple[Key, bool]], begun: float, within: float) -> None:
        mark = len(
            self.load.attempts
        )  # all that were called since will be behind it, and to look at all would take long

        def all_answered() -> bool:
            later = (each for each in self.load.attempts[mark:] if each.called >= begun and each.error is None)
            return wanted <= {(each.key, each.is_write) for each in later}

        await eventually(all_answered, within=within)

    async def writes_say(self, refusal: type[DstkError], *, within: float = 10.0) -> None:
        """Waits until the last write of each key was refused like that."""

        def all_say() -> bool:
            last = {attempt.key: attempt.error for attempt in self.load.attempts if attempt.is_write}
            return all(isinstance(error, refusal) for error in last.values())

        await eventually(all_say, within=within)

    async def has_all_read(self) -> None:
        """Has every node read all that it has, for as far as that can be read."""
        for status in await self.operator.partitions():
            with suppress(grpc.aio.AioRpcError):
                await self.operator.compare(status.partition.id)

    async def logs(self, name: str, message: str, *, within: float = 10.0) -> None:
        """Waits until a process has logged something since the scenario began."""
        await eventually(lambda: message in self.cluster.log(name)[self.logged[name] :], within=within)

    def now(self) -> float:
        """The moment, on the clock of `since`."""
        return time.monotonic()

    async def goes_on_for(self, seconds: float) -> None:
        """Lets the load run."""
        await asyncio.sleep(seconds)

    def longest_pause(self, since: float = 0.0) -> Pause:
        """Of any key."""
        return longest_pause(self.load.attempts, since)

    def nothing_failed(self, since: float = 0.0) -> None:
        """Raises AssertionError when a caller saw a call fail."""
        failed = failures(attempt for attempt in self.load.attempts if attempt.returned >= since)
        assert not failed, summary(failed)

    def no_pause_above(self, seconds: float, since: float = 0.0) -> None:
        """Raises AssertionError for a pause that is longer than that and what this process itself was held up."""
        pause = self.longest_pause(since)
        assert pause.seconds <= seconds + self.load.stutter, f"{pause}, of which {self.load.stutter:.3f} s may be ours"


def _is(key: Key, writes: bool) -> Callable[[Attempt], bool]:
    return lambda attempt: attempt.key == key and attempt.is_write == writes


@dataclass(frozen=True, slots=True)
class Hands(Generic[C]):
    """What reaches into a cluster: an operator, and the clients of the load."""

    cluster: C
    operator: Operator
    clients: Sequence[Client]
    """One that routes by itself, and one behind the router."""


@asynccontextmanager
async def hands_on(cluster: C) -> AsyncIterator[Hands[C]]:
    """Connects to a cluster that has a router."""
    nodes = [cluster.address(node) for node in cluster.names]
    async with (
        operator_at(cluster.address("router"), cluster.token) as operator,
        connect(*nodes, timeout=CALL_SECONDS) as thick,
        connect(cluster.address("router"), mode="gateway", timeout=CALL_SECONDS) as gateway,
    ):
        yield Hands(cluster, operator, (thick, gateway))


@asynccontextmanager
async def on_stage(hands: Hands[C], name: str, *, keys_each: int = 6) -> AsyncIterator[Stage[C]]:
    """A caller of each client on each of `keys_each` fresh keys a partition, warmed up; at the end the cluster must heal."""
    keys = [Key.text(f"{letter}/{name}/{number}") for letter in LETTERS for number in range(keys_each)]
    logged = {speaker: len(hands.cluster.log(speaker)) for speaker in hands.cluster.speakers}
    async with load_on(hands.clients, keys) as load:
        stage = Stage(hands.cluster, hands.operator, load, logged)
        await stage.calls_are_answered(within=30)
        await stage.goes_on_for(WARM_UP_SECONDS)
        yield stage
        if stage.controller_paused:
            await hands.operator.pause_controller(paused=False)
        await hands.operator.healed()
        await stage.calls_are_answered()


@asynccontextmanager
async def under_load(cluster: C, name: str, *, keys_each: int = 6) -> AsyncIterator[Stage[C]]:
    """As on_stage; then the replicas must agree, the logs show nothing unforeseen, and the history be linearizable."""
    async with hands_on(cluster) as hands:
        async with on_stage(hands, name, keys_each=keys_each) as stage:
            yield stage
        await judge(stage)


async def judge(stage: Stage[C]) -> None:
    """See under_load."""
    await stage.operator.replicas_agree()
    stage.load.check_that_it_was_enough()
    found = await asyncio.to_thread(violations, stage.load.history)
    assert not found, "\n".join(map(str, found))
    assert not (defects := list(unforeseen(stage.cluster, stage.logged))), "\n".join(defects)


def unforeseen(cluster: Cluster, logged: Mapping[str, int]) -> Iterator[str]:
    """What processes have logged since then with a traceback, or that is no log line at all."""
    for name in cluster.speakers:
        for line in cluster.log(name)[logged[name] :].splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                yield f"{name}: {line}"
                continue
            if "exc_info" in entry:
                yield f"{name}: {entry['message']}\n{entry['exc_info']}"
