"""A fault scenario on a cluster under load; at its end all replicas agree and the history is linearizable."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from kit.log_lines import misfits
from kit.operators import Operator, operator_at
from model.linearizability import violations

from dstk_client import Client, connect
from dstk_keytypes import Key
from dstk_service.errors import DstkError, WriteAmbiguous
from dstk_service.testing import PATIENCE_SECONDS, eventually
from faults.attempts import Attempt, Pause, failures, first_answer, longest_pause, summary
from faults.lapses import count_moments, takeovers
from faults.load import Load, load_on

SPLITS = ("f", "k", "p", "u")
LETTERS = "afkpu"
"""The keys of each partition begin with one of these."""

WARM_UP_SECONDS = 1.0
CALL_SECONDS = 10.0
"""The timeout of a call: longer than any allowed pause, so that a failed call is a refusal, not a timeout."""

RECONFIGURATION_SECONDS = 3.0
FAILOVER_SECONDS = 6.0
"""The pauses that a test allows for a reconfiguration and a failover, generous for a busy machine. `make faults` measures the
real ones.
"""


class ClusterUnderTest(Protocol):
    """A cluster of processes or containers."""

    names: list[str]
    """The storage nodes."""

    @property
    def speakers(self) -> list[str]:
        """The processes with logs of DSTK."""

    @property
    def token(self) -> str | None:
        """The admin token; None: not needed."""

    def address(self, name: str) -> str:
        """host:port of a storage node, or of the router ("router")."""

    def log(self, name: str) -> str:
        """The whole log of a process, over all its restarts."""


C = TypeVar("C", bound=ClusterUnderTest)


@dataclass(slots=True)
class Scenario(Generic[C]):
    """A running scenario: the cluster, an operator and the load."""

    cluster: C
    operator: Operator
    load: Load
    logged: Mapping[str, int]
    """The length of each process's log when the scenario began."""
    controller_paused: bool = False
    """Whether this scenario has paused the controller; it resumes at the end."""

    async def some_primary(self) -> str:
        """A node that is primary of at least one partition."""
        return await self.operator.primary_of(self.load.keys[0])

    async def follower_of_all(self) -> str:
        """Transfers all partitions off one node and returns it. Pauses the controller until the end of the scenario, since it
        would transfer some back for balance.
        """
        self.controller_paused = True
        await self.operator.pause_controller()
        chosen = self.cluster.names[-1]
        await self.operator.lead_nothing(chosen)
        return chosen

    async def led_by(self, node: str) -> list[Key]:
        """The load's keys whose primary is the node."""
        return [key for key in self.load.keys if await self.operator.primary_of(key) == node]

    async def calls_are_answered(self, keys: Sequence[Key] | None = None, *, within: float = PATIENCE_SECONDS) -> float:
        """Waits until a new write and a new read of each key are answered; returns the seconds that this took."""
        wanted = {(key, writes) for key in keys or self.load.keys for writes in (True, False)}
        begun = time.monotonic()
        await self._answered(wanted, begun, within)
        return max(first_answer(self.load.attempts, begun, _is(*each)) for each in wanted)

    async def reads_are_answered(self, *, within: float = PATIENCE_SECONDS) -> None:
        """Waits until a new read of each key is answered."""
        await self._answered({(key, False) for key in self.load.keys}, time.monotonic(), within)

    async def _answered(self, wanted: set[tuple[Key, bool]], begun: float, within: float) -> None:
        mark = len(self.load.attempts)  # later attempts come after this index; checking all attempts would take long

        def all_answered() -> bool:
            later = (each for each in self.load.attempts[mark:] if each.called >= begun and each.error is None)
            return wanted <= {(each.key, each.is_write) for each in later}

        await eventually(all_answered, within=within)

    async def writes_are_refused_with(self, refusal: type[DstkError], *, within: float = PATIENCE_SECONDS) -> None:
        """Waits until the last write of each key was refused with this error."""

        def all_say() -> bool:
            last = {attempt.key: attempt.error for attempt in self.load.attempts if attempt.is_write}
            return all(isinstance(error, refusal) for error in last.values())

        await eventually(all_say, within=within)

    async def read_everything(self) -> None:
        """Makes every node read all its records, as far as they are readable."""
        for status in await self.operator.partitions():
            with suppress(DstkError):
                await self.operator.compare(status.partition.id)

    async def logs(self, name: str, message: str, *, within: float = PATIENCE_SECONDS) -> None:
        """Waits until a process has logged something since the scenario began."""
        await eventually(lambda: message in self.cluster.log(name)[self.logged[name] :], within=within)

    def now(self) -> float:
        """The current time, on the clock of `since`."""
        return time.monotonic()

    async def runs_for(self, seconds: float) -> None:
        """Lets the load run."""
        await asyncio.sleep(seconds)

    def longest_pause(self, since: float = 0.0) -> Pause:
        """The longest pause of any key."""
        return longest_pause(self.load.attempts, since)

    def nothing_failed(self, since: float = 0.0) -> None:
        """Raises AssertionError when a caller saw a call fail. Where leases lapsed, writes of as many moments may have no known
        outcome, and nothing else may fail.
        """
        failed = failures(attempt for attempt in self.load.attempts if attempt.returned >= since)
        lapses = count_moments(self._takeovers())
        assert lapses or not failed, summary(failed)
        assert all(isinstance(attempt.error, WriteAmbiguous) for attempt in failed), summary(failed)
        assert count_moments(attempt.returned for attempt in failed) <= lapses, f"{summary(failed)}; {lapses} took over"

    def no_pause_above(self, seconds: float, since: float = 0.0) -> None:
        """Raises AssertionError for a pause longer than `seconds` plus the delay that this process itself caused; where leases
        lapsed, than a failover.
        """
        pause, stutter = self.longest_pause(since), self.load.stutter
        allowed = max(seconds, FAILOVER_SECONDS) if pause.seconds > seconds and any(self._takeovers()) else seconds
        assert pause.seconds <= allowed + stutter, f"{pause}, of which {stutter:.3f} s may be ours"

    def _takeovers(self) -> Iterator[float]:
        return takeovers({name: self.cluster.log(name)[self.logged[name] :] for name in self.cluster.names})


def _is(key: Key, writes: bool) -> Callable[[Attempt], bool]:
    return lambda attempt: attempt.key == key and attempt.is_write == writes


@dataclass(frozen=True, slots=True)
class Access(Generic[C]):
    """Access to a cluster: an operator, and the clients of the load."""

    cluster: C
    operator: Operator
    clients: Sequence[Client]
    """A thick client and a gateway client."""


@asynccontextmanager
async def access_to(cluster: C) -> AsyncIterator[Access[C]]:
    """Connects to a cluster that has a router."""
    nodes = [cluster.address(node) for node in cluster.names]
    async with (
        operator_at(cluster.address("router"), cluster.token) as operator,
        connect(*nodes, timeout=CALL_SECONDS) as thick,
        connect(cluster.address("router"), mode="gateway", timeout=CALL_SECONDS) as gateway,
    ):
        yield Access(cluster, operator, (thick, gateway))


@asynccontextmanager
async def scenario_on(access: Access[C], name: str, *, keys_each: int = 6) -> AsyncIterator[Scenario[C]]:
    """A warmed-up load: one caller for each client and each of `keys_each` new keys per partition. At the end the cluster
    must heal.
    """
    keys = [Key.text(f"{letter}/{name}/{number}") for letter in LETTERS for number in range(keys_each)]
    logged = {speaker: len(access.cluster.log(speaker)) for speaker in access.cluster.speakers}
    async with load_on(access.clients, keys) as load:
        scenario = Scenario(access.cluster, access.operator, load, logged)
        await scenario.calls_are_answered()
        await scenario.runs_for(WARM_UP_SECONDS)
        yield scenario
        if scenario.controller_paused:
            await access.operator.pause_controller(paused=False)
        await access.operator.healed()
        await scenario.calls_are_answered()


@asynccontextmanager
async def under_load(cluster: C, name: str, *, keys_each: int = 6) -> AsyncIterator[Scenario[C]]:
    """Like scenario_on; afterwards replicas must agree, logs have no unexpected lines, and the history be linearizable."""
    async with access_to(cluster) as access:
        async with scenario_on(access, name, keys_each=keys_each) as scenario:
            yield scenario
        await judge(scenario)


async def judge(scenario: Scenario[C]) -> None:
    """Checks the replicas, the logs and the history, as under_load promises."""
    await scenario.operator.replicas_agree()
    scenario.load.check_that_it_was_enough()
    found = await asyncio.to_thread(violations, scenario.load.history)
    assert not found, "\n".join(map(str, found))
    assert not (defects := list(unexpected_lines(scenario.cluster, scenario.logged))), "\n".join(defects)


def unexpected_lines(cluster: ClusterUnderTest, logged: Mapping[str, int]) -> Iterator[str]:
    """Lines that processes have logged since `logged` with a traceback, or that do not fit the registry of log fields."""
    for name in cluster.speakers:
        for line in cluster.log(name)[logged[name] :].splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                yield f"{name}: {line}"
                continue
            yield from (f"{name}: {line}: {misfit}" for misfit in misfits(entry))
            if "error.stack_trace" in entry:
                yield f"{name}: {entry['message']}\n{entry['error.stack_trace']}"
