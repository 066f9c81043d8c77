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
async def cluster_of(settings: Settings, *, nodes: int, replicas: int = 3, **options: Any) -> AsyncIterator[Hands]:
    """A cluster with a router, and hands on it, when all replicas are in sync."""
    options |= {"nodes": nodes, "storage_options": ("--bootstrap-replicas", str(replicas))}
    with tempfile.TemporaryDirectory(prefix="dstk-measure-", dir=settings.directory) as directory, no_collections():
        async with ProcessCluster(Path(directory), router=True, **options) as cluster, hands_on(cluster) as hands:
            await hands.operator.healed(replicas=min(replicas, nodes))
            yield hands


def several_partitions(nodes: int) -> dict[str, Any]:
    """Options of a cluster whose partitions are those that the load's keys are made for."""
    return {"nodes": nodes, "splits": SPLITS}


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
