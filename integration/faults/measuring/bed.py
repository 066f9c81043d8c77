"""Clusters for measurements; processes and data are removed when their block ends."""

import gc
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from kit.process_cluster import ProcessCluster

from faults.measuring.model import Settings
from faults.scenario import SPLITS, Access, access_to


@asynccontextmanager
async def cluster_of(settings: Settings, *, nodes: int, replicas: int = 3, **options: Any) -> AsyncIterator[Access]:
    """A cluster with a router, and access to it; yields once all replicas are in sync."""
    options |= {"nodes": nodes, "storage_options": ("--bootstrap-replicas", str(replicas))}
    with tempfile.TemporaryDirectory(prefix="dstk-measure-", dir=settings.directory) as directory, no_collections():
        async with ProcessCluster(Path(directory), router=True, **options) as cluster, access_to(cluster) as access:
            await access.operator.healed(replicas=min(replicas, nodes))
            yield access


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
