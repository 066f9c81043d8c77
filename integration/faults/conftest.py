"""One cluster for the scenarios of a module: each leaves it healthy, or fails."""

from collections.abc import Iterator

import pytest
from kit.disks import are_possible
from kit.process_cluster import ProcessCluster, running

from faults.stage import SPLITS

DISK_BYTES = 64 << 20
RESERVE_BYTES = 4 << 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Three nodes, five partitions of three replicas, a router."""
    with running(ProcessCluster(tmp_path_factory.mktemp("faults"), nodes=3, splits=SPLITS, router=True)) as made:
        yield made


@pytest.fixture(scope="module")
def cluster_on_small_disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """The same, each node with a disk of its own and a small write buffer: soon there are tables on it."""
    directory = tmp_path_factory.mktemp("disks")
    if not are_possible(directory / "trial"):
        pytest.skip("a disk for each node takes the right to mount")
    options = ("--write-buffer-bytes", str(64 << 10), "--disk-reserve-bytes", str(RESERVE_BYTES))
    made = ProcessCluster(
        directory, nodes=3, splits=SPLITS, router=True, disk_bytes=DISK_BYTES, storage_options=options
    )
    with running(made):
        yield made


@pytest.fixture(scope="module")
def tampered_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """As `cluster`; disks become slow and clocks are set when they are told to."""
    directory = tmp_path_factory.mktemp("tampered")
    with running(ProcessCluster(directory, nodes=3, splits=SPLITS, router=True, tampered=True)) as made:
        yield made


@pytest.fixture(scope="module")
def cluster_of_four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Four nodes: three replicas leave nowhere to move to on three."""
    with running(ProcessCluster(tmp_path_factory.mktemp("four"), nodes=4, splits=SPLITS, router=True)) as made:
        yield made
