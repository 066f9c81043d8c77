"""The supervisor: starts the processes of a plan in order, keeps them alive, stops them in the reverse order.

Invariants: one supervisor a data directory (a file lock, which the system releases however the supervisor ends); no
process of an earlier supervisor is left when the first child starts; run.json names every child that runs, and is gone
when none does.
"""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from dstk_cli.errors import CliError
from dstk_cli.local import plan as plans
from dstk_cli.local import ports, specs, state
from dstk_cli.local.child import Child
from dstk_cli.local.layout import ETCD, ClusterDir
from dstk_cli.local.plan import Plan, Request
from dstk_cli.local.ports import HOST
from dstk_cli.local.processes import ProcessRef, end_all
from dstk_cli.local.state import ChildState, Phase, RunState

START_S = 60.0
STOP_GRACE_S = 10.0

Listener = Callable[[RunState], None]


class Supervisor:
    """Runs one plan. `listen` is called after every change of state, on the event loop."""

    def __init__(self, directory: ClusterDir, plan: Plan, listen: Listener) -> None:
        self._directory = directory
        self._listen = listen
        self._etcd = Child(specs.etcd(directory, plan), self._changed)
        self._storages = [Child(spec, self._changed) for spec in specs.storages(directory, plan)]
        self._router = Child(specs.router(directory, plan), self._changed)
        self._phase = Phase.STARTING
        self._started_at = time.time()
        self._self = ProcessRef.own()
        self.plan = plan

    @property
    def state(self) -> RunState:
        """What runs right now."""
        children = tuple(child.state for child in (self._etcd, *self._storages, self._router))
        address = f"{HOST}:{self.plan.router_port}"
        return RunState(self._self, self._phase, address, self._started_at, children)

    async def start(self) -> None:
        """Returns once everything serves. Raises `CliError` when something does not; `stop` is due in any case."""
        try:
            async with asyncio.timeout(START_S):
                for group in ([self._etcd], self._storages, [self._router]):
                    await _serve_all(group)
        except TimeoutError:
            raise self._too_slow() from None
        self._enter(Phase.SERVING)

    async def stop(self) -> None:
        """Stops everything in order: router, storage nodes, etcd."""
        self._enter(Phase.STOPPING)
        for group in ([self._router], self._storages, [self._etcd]):
            await asyncio.gather(*(child.stop(STOP_GRACE_S) for child in group))
        self._phase = Phase.STOPPED
        self._listen(self.state)
        self._directory.state.unlink(missing_ok=True)

    def child(self, name: str) -> Child:
        """One of the processes. Raises KeyError."""
        return {child.state.name: child for child in (self._etcd, *self._storages, self._router)}[name]

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._publish()

    def _changed(self, _child: ChildState) -> None:
        self._publish()

    def _publish(self) -> None:
        state.save(self._directory.state, self.state)
        self._listen(self.state)

    def _too_slow(self) -> CliError:
        late = [child for child in self.state.children if child.phase is not Phase.SERVING]
        names = ", ".join(child.name for child in late)
        return CliError(f"not serving after {START_S:g} s: {names}", f"its log: {late[0].log}")


@asynccontextmanager
async def supervised(directory: ClusterDir, request: Request, listen: Listener) -> AsyncIterator[Supervisor]:
    """A cluster that serves, for as long as the block lasts; stopped in order afterwards, also after a failed start.

    Raises `CliError` when the data directory's cluster is up already or the request cannot be met.
    """
    directory.create()
    directory.lock.touch()
    with _only_supervisor(directory):
        end_orphans(directory)
        # a plan that never came to anything binds nobody
        saved = plans.load(directory.plan) if directory.data(ETCD).exists() else None
        plan = plans.resolve(request, saved, ports.is_free, ports.pick)
        plans.save(directory.plan, plan)
        supervisor = Supervisor(directory, plan, listen)
        try:
            await supervisor.start()
            yield supervisor
        finally:
            await asyncio.shield(asyncio.create_task(supervisor.stop()))


def is_supervised(directory: ClusterDir) -> bool:
    """Whether a supervisor of this data directory runs, be it that it has only just started or is still stopping."""
    try:
        with _only_supervisor(directory):
            return False
    except FileNotFoundError:
        return False
    except CliError:
        return True


def end_orphans(directory: ClusterDir) -> list[str]:
    """Ends what a supervisor that was killed left behind; returns the names of the processes that were still running.

    To be called while no supervisor runs.
    """
    left = state.load(directory.state)
    ended = set(end_all(left.processes(), STOP_GRACE_S)) if left else set()
    directory.state.unlink(missing_ok=True)
    return [child.name for child in left.children if child.process in ended] if left else []


async def _serve_all(children: list[Child]) -> None:
    for child in children:
        child.start()
    async with asyncio.TaskGroup() as group:
        for child in children:
            group.create_task(child.until_serving())


@contextmanager
def _only_supervisor(directory: ClusterDir) -> Iterator[None]:
    with directory.lock.open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = f"`dstk local status{directory.flag}` shows it, `dstk local down{directory.flag}` stops it"
            raise CliError(f"the cluster in {directory.root} is up already", hint) from None
        yield
