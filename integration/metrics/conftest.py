"""Clusters with metrics services, for the tests of a module. Nodes send their figures each second."""

from collections.abc import Iterator

import pytest
from kit.disks import are_possible
from kit.process_cluster import ProcessCluster, running

OPTIONS = ("--feed-seconds", "1")
SPLITS = ("g", "p")
SMALL_DISK = 64 << 20


@pytest.fixture(scope="module")
def metrics_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Three nodes, three partitions, a router, and two metrics services, whose clocks tests can set."""
    directory = tmp_path_factory.mktemp("metrics")
    made = ProcessCluster(
        directory, nodes=3, splits=SPLITS, router=True, metrics=2, metrics_options=OPTIONS, tampered=True
    )
    with running(made):
        yield made


@pytest.fixture(scope="module")
def metrics_of_one_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """One node with three partitions, which nobody can take over, and a metrics service."""
    directory = tmp_path_factory.mktemp("one")
    with running(ProcessCluster(directory, nodes=1, splits=SPLITS, metrics=1, metrics_options=OPTIONS)) as made:
        yield made


@pytest.fixture(scope="module")
def metrics_on_small_disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """The same, each process with a small disk of its own."""
    directory = tmp_path_factory.mktemp("small")
    if not are_possible(directory / "trial"):
        pytest.skip("a disk for each process needs the right to mount")
    small = {"disk_bytes": SMALL_DISK, "metrics_options": (*OPTIONS, "--history-bytes", str(16 << 20))}
    with running(ProcessCluster(directory, nodes=1, splits=SPLITS, metrics=1, tampered=True, **small)) as made:
        yield made
