"""A local cluster: its processes are started in order, kept alive, and stopped in the reverse order. The metrics service and
programs that watch the cluster start with the router and stop first; reads and writes depend on none of them.

Invariants: one supervisor a data directory; no process of an earlier supervisor is left when the first process starts;
run.json names every process that runs, and is gone when none does; only `stop` ends the keeping alive, neither a full disk
nor a failing listener.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

from dstk_localcluster import health, ports, programs
from dstk_localcluster import plan as plans
from dstk_localcluster.directory import METRICS, ClusterDir
from dstk_localcluster.errors import LocalClusterError
from dstk_localcluster.keeper import ProcessKeeper
from dstk_localcluster.observability import configuration, tools
from dstk_localcluster.observability.watching import watching
from dstk_localcluster.ownership import STOP_GRACE_S, end_orphans, has_run, sole_supervisor
from dstk_localcluster.plan import ClusterPlan
from dstk_localcluster.processes import ProcessRef
from dstk_localcluster.programs import ClusterPrograms, Program
from dstk_localcluster.publisher import Listener, StatePublisher
from dstk_localcluster.spec import ClusterSpec
from dstk_localcluster.state import ClusterState, DirectoryId, Phase, ProcessState, overall

START_S = 60.0
"""How long etcd, then the storage nodes, then the router, then the rest may take to serve."""
_CHECK_S = 1.0


class LocalCluster:
    """A running cluster: etcd, storage nodes, a router, the metrics service, and programs that watch them. `local_cluster`
    makes one.

    A process that dies is restarted, unless it was stopped or killed through this object. Methods that take the name of a
    process ("etcd", "storage-1", ..., "router", "metrics", "prometheus", ...) raise KeyError for any other name.
    """

    def __init__(
        self, directory: ClusterDir, plan: ClusterPlan, made: ClusterPrograms, listen: Listener, *, is_new: bool
    ) -> None:
        self.plan = plan
        self._publisher = StatePublisher(directory, listen)
        self._started_at = time.time()
        self._directory, self._self = DirectoryId.of(directory.root), ProcessRef.own()
        self._phase = Phase.STARTING
        self._etcd, self._router = self._keeper(made.etcd), self._keeper(made.router)
        self._storages = [self._keeper(program) for program in made.storages]
        self._rest = [self._keeper(program) for program in made.rest]
        every = (self._etcd, *self._storages, self._router, *self._rest)
        self._by_name = {keeper.state.name: keeper for keeper in every}
        # a new cluster needs all of its nodes: together they make its map
        self._enough = plan.nodes if is_new else (plan.nodes + 1) // 2

    @property
    def addresses(self) -> Mapping[str, str]:
        """host:port of each process, by its name."""
        return {name: keeper.state.address for name, keeper in self._by_name.items()}

    @property
    def router(self) -> str:
        """host:port of the router."""
        return self._router.state.address

    @property
    def state(self) -> ClusterState:
        """What runs right now."""
        processes = tuple(keeper.state for keeper in self._by_name.values())
        phase = overall(self._phase, processes)
        trouble = self._publisher.trouble
        return ClusterState(self._directory, self._self, phase, self.router, self._started_at, processes, trouble)

    def process(self, name: str) -> ProcessState:
        """Returns what one process is doing."""
        return self._by_name[name].state

    async def start(self, name: str) -> None:
        """Starts a process that was stopped or killed; returns once it serves. Raises `LocalClusterError` when it does not
        within 60 s, or dies several times in a row before.
        """
        keeper = self._by_name[name]
        keeper.start()
        await _until_serving([keeper], enough=1)

    async def stop(self, name: str) -> None:
        """Stops a process with SIGTERM, with SIGKILL after 10 s; it stays down until `start`."""
        await self._by_name[name].stop(STOP_GRACE_S)

    async def kill(self, name: str) -> None:
        """Kills a process with SIGKILL; it stays down until `start`."""
        await self._by_name[name].stop(grace=0)

    async def restart(self, name: str) -> None:
        """Stops a process in order and starts it again. Raises as `start`."""
        await self.stop(name)
        await self.start(name)

    async def start_all(self) -> None:
        """Returns once everything serves; for a cluster that has run before, the router and at least half of the storage nodes
        suffice. The others are retried, as are the metrics service and programs that watch the cluster. Raises
        `LocalClusterError` when fewer serve; `stop_all` is due in any case.
        """
        for group, enough in (([self._etcd], 1), (self._storages, self._enough)):
            _start(group)
            await _until_serving(group, enough)
        _start([self._router, *self._rest])
        await _until_serving([self._router], enough=1)
        await _until_serving(self._rest, enough=0)
        self._phase = Phase.SERVING
        self._publish()

    async def stop_all(self) -> None:
        """Stops what the cluster serves without, the router, storage nodes and etcd, in this order."""
        self._phase = Phase.STOPPING
        self._publish()
        for group in (self._rest, [self._router], self._storages, [self._etcd]):
            await asyncio.gather(*(keeper.stop(STOP_GRACE_S) for keeper in group))
        self._phase = Phase.STOPPED
        self._publisher.close(self.state)

    async def until_directory_lost(self) -> NoReturn:
        """Raises `LocalClusterError` once the data directory is no longer at its path: nobody could find this cluster, and a
        process that restarts would write into whatever is there by then. Rewrites a run.json that was removed.
        """
        while self._directory.is_there:
            if not self._publisher.is_written:
                self._publish()
            await asyncio.sleep(_CHECK_S)
        why = f"{self._directory.path} has been removed, moved away or replaced, so everything was stopped"
        raise LocalClusterError(why, "stop a cluster before you move its directory")

    def _keeper(self, program: Program) -> ProcessKeeper:
        probe, address = program.probe, program.address
        serving = partial(health.until_probed, probe) if probe else partial(health.until_serving, address)
        return ProcessKeeper(program, self._directory, serving, lambda _: self._publish())

    def _publish(self) -> None:
        self._publisher.publish(lambda: self.state)


@asynccontextmanager
async def local_cluster(
    directory: ClusterDir | Path, spec: ClusterSpec | None = None, listen: Listener = lambda _: None
) -> AsyncIterator[LocalCluster]:
    """Runs the cluster of a data directory while the block lasts, and stops it in order, also after a failed start.

    A new directory gets the cluster that `spec` describes; an existing cluster starts with its data and, where they are free,
    its ports. `listen` is called on the event loop after every change.

    Raises `AlreadyUp` when the directory's cluster runs already, `InvalidSpec` and `LocalClusterError` when the spec cannot be
    met, too few processes serve, or no program for `spec.observability` is on PATH, OSError when the directory cannot be
    written.
    """
    directory, spec = ClusterDir.at(directory) if isinstance(directory, Path) else directory, spec or ClusterSpec()
    paths = tools.required() if spec.observability else {}
    with sole_supervisor(directory):
        end_orphans(directory)
        is_new = not has_run(directory)
        saved = None if is_new else plans.load(directory.plan)  # the plan of a cluster that never ran binds nobody
        plan = plans.resolve(spec, saved, ports.is_free, ports.pick)
        plans.save(directory.plan, plan)
        if paths:
            configuration.write(directory, plan, {*paths, *([METRICS] if spec.metrics else ())})
        made = _programs(directory, plan, paths, with_metrics=spec.metrics)
        cluster = LocalCluster(directory, plan, made, listen, is_new=is_new)
        try:
            await cluster.start_all()
            yield cluster
        finally:
            await asyncio.shield(asyncio.create_task(cluster.stop_all()))


def _programs(
    directory: ClusterDir, plan: ClusterPlan, paths: Mapping[str, str], *, with_metrics: bool
) -> ClusterPrograms:
    """`paths`: those of the programs that watch the cluster, by name."""
    watched = watching(directory, plan, paths)

    def told(program: Program) -> Program:
        return program.with_variables(watched.settings)

    return ClusterPrograms(
        programs.etcd(directory, plan),
        [*map(told, programs.storages(directory, plan))],
        told(programs.router(directory, plan)),
        [*([told(programs.metrics(directory, plan))] if with_metrics else ()), *watched.programs],
    )


def _start(keepers: Iterable[ProcessKeeper]) -> None:
    for keeper in keepers:
        keeper.start()


async def _until_serving(keepers: Sequence[ProcessKeeper], enough: int) -> None:
    """Returns when each process serves or is known to fail, and `enough` of them serve. Raises `LocalClusterError`."""
    waits = {asyncio.create_task(keeper.until_serving()) for keeper in keepers}
    try:
        await _until_settled(waits, len(keepers) - enough)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    late = [keeper for keeper in keepers if keeper.state.phase is not Phase.SERVING]
    if len(keepers) - len(late) < enough:
        raise _too_few(late)


async def _until_settled(waits: set[asyncio.Task[None]], spare: int) -> None:
    """Returns when all have ended, more than `spare` of them have failed, or the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while waits and spare >= 0:
                ended, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                spare -= sum(wait.exception() is not None for wait in ended)


def _too_few(late: Sequence[ProcessKeeper]) -> LocalClusterError:
    """The error about processes that do not serve. One that died explains more than one that waits for it."""
    dead = [keeper for keeper in late if keeper.state.last_exit] or late
    first = dead[0].failure()
    others = ", ".join(keeper.state.name for keeper in dead[1:])
    return LocalClusterError(f"{first.message}; neither do {others}" if others else first.message, first.hint)
