"""One cluster for the scenarios of a module: each leaves it healthy, or fails."""

from collections.abc import Iterator

import pytest
from kit.disks import are_possible
from kit.process_cluster import ProcessCluster, running

from faults.scenario import SPLITS

DISK_BYTES = 64 << 20
RESERVE_BYTES = 4 << 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Three nodes, five partitions of three replicas, a router."""
    with running(ProcessCluster(tmp_path_factory.mktemp("faults"), nodes=3, splits=SPLITS, router=True)) as made:
        yield made


@pytest.fixture(scope="module")
def cluster_on_small_disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """The same; each node has its own disk and a small write buffer, so that it soon has tables."""
    directory = tmp_path_factory.mktemp("disks")
    if not are_possible(directory / "trial"):
        pytest.skip("a disk for each node needs the right to mount")
    options = ("--write-buffer-bytes", str(64 << 10), "--disk-reserve-bytes", str(RESERVE_BYTES))
    made = ProcessCluster(
        directory, nodes=3, splits=SPLITS, router=True, disk_bytes=DISK_BYTES, storage_options=options
    )
    with running(made):
        yield made


@pytest.fixture(scope="module")
def tampered_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Like `cluster`; tests can slow the disks and set the clocks."""
    directory = tmp_path_factory.mktemp("tampered")
    with running(ProcessCluster(directory, nodes=3, splits=SPLITS, router=True, tampered=True)) as made:
        yield made


@pytest.fixture(scope="module")
def cluster_of_four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Four nodes: on three nodes, a partition of three replicas has no node to move to."""
    with running(ProcessCluster(tmp_path_factory.mktemp("four"), nodes=4, splits=SPLITS, router=True)) as made:
        yield made
