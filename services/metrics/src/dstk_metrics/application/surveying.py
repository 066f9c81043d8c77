"""Measures ranges by asking the nodes that lead their partitions, whatever the map does meanwhile."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from dstk_cluster.model import ClusterMap, NodeInfo, PartitionInfo
from dstk_cluster.view import CurrentMap
from dstk_metrics.domain.buckets import Run, Table, ends_before
from dstk_metrics.ports import Measuring
from dstk_service.clock import Clock
from dstk_service.errors import DeadlineExceeded, NotOwner, NotServing, Overloaded

AT_ONCE_OF_A_NODE = 2
"""As many as a node measures."""

AT_ONCE = 32

PATIENCE_SECONDS = 10.0
"""For how long nodes are asked again for a part of a range that none of them measures."""

PAUSE_SECONDS = 0.1
"""Until a node is asked again that is not the primary, or does not serve."""


class Surveyor:
    """Asks a bounded number of nodes, and of ranges of each node, at once."""

    def __init__(self, view: CurrentMap, measuring: Measuring, clock: Clock) -> None:
        self._view, self._measuring, self._clock = view, measuring, clock
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE_OF_A_NODE))
        self._all = asyncio.Semaphore(AT_ONCE)

    async def measure(self, runs: Sequence[Run]) -> list[Table]:
        """Tables that cover the runs, each of one partition, in order of keys. Raises NotServing when a node does not answer in
        time.
        """
        tasks = [asyncio.ensure_future(self._run(run)) for run in runs]
        try:
            return [table for tables in await asyncio.gather(*tasks) for table in tables]
        finally:
            for task in tasks:
                task.cancel()

    async def _run(self, run: Run) -> list[Table]:
        """One run, partition by partition."""
        tables: list[Table] = []
        at = run.start
        while not tables or ends_before(at, run.end):
            table = await self._next(Run(at, run.end, run.buckets))
            tables.append(table)
            at = table.range[1]
            if not at:
                break
        return tables

    async def _next(self, run: Run) -> Table:
        """The table of the partition that the run starts in, as far as the run reaches."""
        failing_since: float | None = None
        while True:
            current = self._current()
            partition = current.partition_of(run.start)
            try:
                return await self._ask(current.nodes.get(partition.primary), partition, run)
            except (NotOwner, NotServing, Overloaded, DeadlineExceeded) as error:
                pause = getattr(error, "retry_after", 0.0) or PAUSE_SECONDS
                now = self._clock.monotonic()
                failing_since = now if failing_since is None else failing_since
                if now + pause > failing_since + PATIENCE_SECONDS:
                    what = f"node {partition.primary!r} has not measured partition {partition.id}"
                    raise NotServing(f"{what} within {PATIENCE_SECONDS:g} s: {error}", 1.0) from error
                await self._clock.sleep(pause)

    async def _ask(self, node: NodeInfo | None, partition: PartitionInfo, run: Run) -> Table:
        if node is None:
            raise NotServing(f"node {partition.primary!r} is not registered", PAUSE_SECONDS)
        async with self._all, self._turns[node.id]:
            return await self._measuring.measure(node, partition.id, run)

    def _current(self) -> ClusterMap:
        current = self._view.current
        if current is None or not current.partitions:
            raise NotServing("this service has not read the partition map yet", PAUSE_SECONDS)
        return current
