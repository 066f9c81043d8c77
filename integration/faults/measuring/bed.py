"""Where measurements take place: clusters that are gone, processes and data, when their block ends."""

import gc
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from kit.process_cluster import ProcessCluster

from faults.measuring.model import Settings
from faults.stage import SPLITS, Hands, hands_on


@asynccontextmanager
async def cluster_of(settings: Settings, **options: Any) -> AsyncIterator[Hands]:
    """A cluster with a router, and hands on it."""
    with tempfile.TemporaryDirectory(prefix="dstk-measure-", dir=settings.directory) as directory, no_collections():
        async with ProcessCluster(Path(directory), router=True, **options) as cluster, hands_on(cluster) as hands:
            await hands.operator.healed(replicas=min(3, _replicas(options)))
            yield hands


def several_partitions(nodes: int) -> dict[str, Any]:
    """Options of a cluster whose partitions are those that the load's keys are made for."""
    return {"nodes": nodes, "splits": SPLITS}


def _replicas(options: dict[str, Any]) -> int:
    return int(options.get("nodes", 1))


@contextmanager
def no_collections() -> Iterator[None]:
    """Looking for cycles among a hundred thousand calls takes longer than the pauses that are measured."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
