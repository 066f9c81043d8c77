"""One cluster for the scenarios of a module: each leaves it healthy, or fails."""

import asyncio
from collections.abc import Iterator

import pytest
from kit.process_cluster import ProcessCluster

from faults.stage import SPLITS


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Three nodes, five partitions of three replicas, a router."""
    made = ProcessCluster(tmp_path_factory.mktemp("faults"), nodes=3, splits=SPLITS, router=True)
    with asyncio.Runner() as runner:
        runner.run(made.__aenter__())
        try:
            yield made
        finally:
            runner.run(made.__aexit__(None, None, None))
