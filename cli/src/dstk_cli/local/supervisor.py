"""The supervisor: starts the processes of a plan in order, keeps them alive, stops them in the reverse order.

Invariants: one supervisor a data directory (a file lock, which the system releases however the supervisor ends); no
process of an earlier supervisor is left when the first child starts; run.json names every child that runs, and is gone
when none does; nothing but `stop` ends the keeping alive, neither a full disk nor whoever listens.
"""

import asyncio
import contextlib
import fcntl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import NoReturn

from dstk_cli.errors import CliError
from dstk_cli.local import plan as plans
from dstk_cli.local import ports, specs, state
from dstk_cli.local.child import Child
from dstk_cli.local.layout import ETCD, ClusterDir
from dstk_cli.local.plan import Plan, Request
from dstk_cli.local.ports import HOST
from dstk_cli.local.processes import ProcessRef, end_all
from dstk_cli.local.record import Listener, Record
from dstk_cli.local.state import ChildState, Home, Phase, RunState, overall

START_S = 60.0
"""How long etcd, then the storage nodes, then the router may take to serve."""
STOP_GRACE_S = 10.0
_LOOK_S = 1.0


class AlreadyUpError(CliError):
    """Another supervisor has the data directory."""


class Supervisor:
    """Runs one plan. `listen` is called after every change of state, on the event loop.

    `is_new`: the cluster has never run. Then all of its nodes are needed, for they make its map together.
    """

    def __init__(self, directory: ClusterDir, plan: Plan, listen: Listener, *, is_new: bool) -> None:
        self._record = Record(directory, listen)
        self._is_new = is_new
        self._etcd = Child(specs.etcd(directory, plan), self._changed)
        self._storages = [Child(spec, self._changed) for spec in specs.storages(directory, plan)]
        self._router = Child(specs.router(directory, plan), self._changed)
        self._phase = Phase.STARTING
        self._started_at = time.time()
        self._home, self._self = Home.of(directory.root), ProcessRef.own()
        self.plan = plan

    @property
    def state(self) -> RunState:
        """What runs right now."""
        children = tuple(child.state for child in self._children())
        address = f"{HOST}:{self.plan.router_port}"
        phase = overall(self._phase, children)
        return RunState(self._home, self._self, phase, address, self._started_at, children, self._record.trouble)

    async def start(self) -> None:
        """Returns once everything serves, or the router and at least half of the storage nodes of a cluster that has run
        before: the others are tried further. Raises `CliError` when fewer do; `stop` is due in any case.
        """
        for group, enough in (([self._etcd], 1), (self._storages, self._enough()), ([self._router], 1)):
            await _serve(group, enough)
        self._phase = Phase.SERVING
        self._publish()

    async def until_homeless(self) -> NoReturn:
        """Raises `CliError` once the data directory is no longer at its place: nobody could find this cluster, and what is
        started again would work in whatever is there by then. A run.json that somebody removed is written again.
        """
        while self._home.is_there:
            if not self._record.is_written:
                self._publish()
            await asyncio.sleep(_LOOK_S)
        why = f"{self._home.path} has been removed, moved away or replaced, so everything was stopped"
        raise CliError(why, "stop a cluster before its directory: dstk local down")

    async def stop(self) -> None:
        """Stops everything in order: router, storage nodes, etcd."""
        self._phase = Phase.STOPPING
        self._publish()
        for group in ([self._router], self._storages, [self._etcd]):
            await asyncio.gather(*(child.stop(STOP_GRACE_S) for child in group))
        self._phase = Phase.STOPPED
        self._record.close(self.state)

    def child(self, name: str) -> Child:
        """One of the processes. Raises KeyError."""
        return {child.state.name: child for child in self._children()}[name]

    def _children(self) -> Sequence[Child]:
        return self._etcd, *self._storages, self._router

    def _enough(self) -> int:
        count = len(self._storages)
        return count if self._is_new else (count + 1) // 2

    def _changed(self, _child: ChildState) -> None:
        self._publish()

    def _publish(self) -> None:
        self._record.write(lambda: self.state)


@asynccontextmanager
async def supervised(directory: ClusterDir, request: Request, listen: Listener) -> AsyncIterator[Supervisor]:
    """A cluster that serves, for as long as the block lasts; stopped in order afterwards, also after a failed start.

    Raises `CliError` when the data directory's cluster is up already or the request cannot be met.
    """
    directory.create()
    directory.lock.touch()
    if is_supervised(directory):
        raise _already_up(directory)
    with _only_supervisor(directory):
        end_orphans(directory)
        is_new = not has_run(directory)
        saved = None if is_new else plans.load(directory.plan)  # a plan that never came to anything binds nobody
        plan = plans.resolve(request, saved, ports.is_free, ports.pick)
        plans.save(directory.plan, plan)
        supervisor = Supervisor(directory, plan, listen, is_new=is_new)
        try:
            await supervisor.start()
            yield supervisor
        finally:
            await asyncio.shield(asyncio.create_task(supervisor.stop()))


def has_run(directory: ClusterDir) -> bool:
    """Whether the directory holds a cluster that has run. Raises `CliError` when it holds one without its etcd: its records are
    there, and which of them are whose is not.
    """
    if (directory.data(ETCD) / "member").exists():
        return True
    if found := sorted(path.parent.name for path in directory.root.glob("*/node.json")):
        gone = f"{directory.data(ETCD)} is gone or empty, and {', '.join(found)} hold records of a cluster whose map was in it"
        hint = "put that directory back, from a copy of it; to begin a new cluster beside it, give another --data-dir"
        raise CliError(gone, hint)
    return False


def is_supervised(directory: ClusterDir) -> bool:
    """Whether a supervisor of this data directory runs, be it that it has only just started or is still stopping."""
    running = state.load(directory.state)
    if running is not None and running.supervisor.alive:  # also where somebody removed the lock
        return True
    if not directory.lock.exists():
        return False
    try:
        with _only_supervisor(directory):
            return False
    except AlreadyUpError:
        return True


def end_orphans(directory: ClusterDir) -> list[str]:
    """Ends what a supervisor that was killed left behind; returns the names of the processes that were still running.

    To be called while no supervisor runs.
    """
    left = state.load(directory.state)
    ended = set(end_all(left.processes(), STOP_GRACE_S)) if left else set()
    directory.state.unlink(missing_ok=True)
    return [child.name for child in left.children if child.process in ended] if left else []


async def _serve(children: Sequence[Child], enough: int) -> None:
    """Starts the processes; returns when each serves, or is known to fail and `enough` of them serve. Raises `CliError`."""
    for child in children:
        child.start()
    waits = {asyncio.create_task(child.until_serving()): child for child in children}
    try:
        await _until_settled(set(waits), len(children) - enough)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    late = [child for child in children if child.state.phase is not Phase.SERVING]
    if len(children) - len(late) < enough:
        raise _not_enough(late)


async def _until_settled(waits: set[asyncio.Task[None]], spare: int) -> None:
    """Until all have ended, more than `spare` of them have failed, or the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while waits and spare >= 0:
                ended, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                spare -= sum(wait.exception() is not None for wait in ended)


def _not_enough(late: Sequence[Child]) -> CliError:
    """About those that do not serve; what has ended by itself says more than what is slow because of it."""
    dead = [child for child in late if child.state.last_exit] or late
    failures = [child.failure() for child in dead]
    first = failures[0]
    others = ", ".join(child.state.name for child in dead[1:])
    return CliError(f"{first.message}; neither do {others}" if others else first.message, first.hint)


@contextmanager
def _only_supervisor(directory: ClusterDir) -> Iterator[None]:
    with directory.lock.open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _already_up(directory) from None
        yield


def _already_up(directory: ClusterDir) -> AlreadyUpError:
    hint = f"`dstk local status{directory.flag}` shows it, `dstk local down{directory.flag}` stops it"
    return AlreadyUpError(f"the cluster in {directory.root} is up already", hint)
