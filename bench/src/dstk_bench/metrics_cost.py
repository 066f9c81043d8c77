"""What the metrics service costs the storage node that it follows: the same node with it and without it, in turns.

Two nodes of the same kind differ by some percent, so there is one. The processor time of the node counts beside its throughput:
it depends less on what else the machine does.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from dstk_bench.cases import Case, all_cases
from dstk_bench.loadgen import closed_loop
from dstk_bench.systems.base import System
from dstk_bench.systems.dstk import NODE, system_of
from dstk_bench.workload import Workload
from dstk_client import connect
from dstk_client.metrics import MetricsClient
from dstk_keytypes import KeyRange
from dstk_localcluster import ClusterDir, ClusterSpec, LocalCluster, local_cluster
from dstk_service.transport.grpc_connector import GRPC

CASES = ("get-1", "get-256", "put-1", "put-256")
_METRICS = "metrics"
_RECORDS, _VALUE_BYTES = 20_000, 128
_CALL_SECONDS = 10.0
_CONSOLE_MS = 1000
_WITHIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class CostPlan:
    """How to measure. `seconds`: of each turn of a case. `watched`: while the service follows the node, updates come each
    second, as they do while a console is open. `directory`: for temporary files; None: the system's.
    """

    rounds: int
    seconds: float
    watched: bool
    directory: Path | None


@dataclass(frozen=True, slots=True)
class Turn:
    """A case for a while: operations, wall time in seconds, and processor time of the node in seconds."""

    operations: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds


@dataclass(frozen=True, slots=True)
class Cost:
    """The turns of a case with the metrics service and without it, one of each in a round."""

    title: str
    followed: list[Turn] = field(default_factory=list)
    alone: list[Turn] = field(default_factory=list)

    @property
    def throughput(self) -> float:
        """Throughput with the service over that without: the median of the rounds."""
        return median(one.rate / other.rate for one, other in zip(self.followed, self.alone, strict=True))


def cpu_us(turns: list[Turn]) -> float:
    """Returns the node's processor time for an operation, in microseconds."""
    return 1e6 * sum(turn.cpu_seconds for turn in turns) / max(sum(turn.operations for turn in turns), 1)


async def measure(plan: CostPlan, show: Callable[[str], None]) -> list[Cost]:
    """Returns the cost in each of CASES. Calls `show` with each next step. No process or file remains."""
    workload = Workload(_RECORDS, _VALUE_BYTES)
    with tempfile.TemporaryDirectory(prefix="dstk-bench-", dir=plan.directory, ignore_cleanup_errors=True) as name:
        show("starting a node")
        async with local_cluster(ClusterDir(Path(name)), ClusterSpec(1, cluster="bench")) as cluster:
            await cluster.stop(_METRICS)
            async with connect(cluster.addresses[NODE]) as client:
                system = system_of("dstk", "1 storage node, thick client", client)
                return await _Rounds(plan, cluster, system, workload).run(show)


@dataclass(frozen=True, slots=True)
class _Rounds:
    plan: CostPlan
    cluster: LocalCluster
    system: System
    workload: Workload

    async def run(self, show: Callable[[str], None]) -> list[Cost]:
        assert self.system.load is not None
        await self.system.load(self.workload.stored())
        cases = [case for case in all_cases() if case.name in CASES]
        costs = {case: Cost(case.title) for case in cases}
        for number in range(self.plan.rounds + 1):
            for is_followed in (True, False) if number % 2 else (False, True):
                show(
                    f"round {number} of {self.plan.rounds}, {'with' if is_followed else 'without'} the metrics service"
                )
                async with self._follower() if is_followed else contextlib.nullcontext():
                    for case, cost in costs.items():
                        turn = await self._turn(case)
                        if number:  # the first round warms up
                            (cost.followed if is_followed else cost.alone).append(turn)
        return list(costs.values())

    async def _turn(self, case: Case) -> Turn:
        calls = case.prepare(self.system, self.workload, case.callers)
        assert calls is not None
        before = self._cpu_seconds()
        sample = await closed_loop(calls, self.plan.seconds)
        return Turn(sample.units, sample.seconds, self._cpu_seconds() - before)

    def _cpu_seconds(self) -> float:
        process = self.cluster.process(NODE).process
        assert process is not None
        times = psutil.Process(process.pid).cpu_times()
        return float(times.user + times.system)

    @asynccontextmanager
    async def _follower(self) -> AsyncIterator[None]:
        """The metrics service follows the node during the block."""
        await self.cluster.start(_METRICS)
        try:
            async with GRPC.connect(self.cluster.addresses[_METRICS]) as channel:
                metrics = MetricsClient(channel, _METRICS, _CALL_SECONDS)
                await _until_followed(metrics)
                async with _open_console(metrics) if self.plan.watched else contextlib.nullcontext():
                    yield
        finally:
            await self.cluster.stop(_METRICS)


async def _until_followed(metrics: MetricsClient) -> None:
    """Returns once the figures of all partitions have arrived. Raises TimeoutError after 30 s."""
    async with asyncio.timeout(_WITHIN_SECONDS):
        while any(each.age_s < 0 for each in (await metrics.partition_stats(KeyRange.everything())).partitions):
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _open_console(metrics: MetricsClient) -> AsyncIterator[None]:
    """Watches the totals during the block, as the page does."""

    async def watch() -> None:
        async for _ in metrics.watch(_CONSOLE_MS):
            pass

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
