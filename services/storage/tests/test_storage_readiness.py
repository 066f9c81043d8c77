"""When a node can do all of its work, and what it says when it cannot."""

from types import SimpleNamespace
from typing import Any

import pytest

from dstk_storage.application.readiness import NodeReadiness
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.replication.in_sync import InSyncManager
from dstk_storage.domain.room import Room

READY = {"serving": "", "map": "", "disk": ""}


class Node:
    """The parts of a node that readiness rests on."""

    def __init__(self) -> None:
        self.obstacle, self.intake, self.in_sync = "", Intake(), InSyncManager(1.0, 1.0)
        self.view: Any = SimpleNamespace(current=SimpleNamespace(partitions=("one",)))
        self.engine: Any = SimpleNamespace(corruption="")

    def readiness(self) -> dict[str, str]:
        ready = NodeReadiness(lambda: self.obstacle, self.view, self.intake, self.in_sync, self.engine)
        return dict(ready())


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_node_that_serves_is_ready(node: Node) -> None:
    assert node.readiness() == READY


def test_a_node_that_starts_or_stops_is_not(node: Node) -> None:
    node.obstacle = "the service is stopping"
    assert node.readiness() == READY | {"serving": "the service is stopping"}


def test_a_node_without_a_map_is_not(node: Node) -> None:
    node.view.current.partitions = ()
    assert "not bootstrapped" in node.readiness()["map"]
    node.view.current = None
    assert "has not been read" in node.readiness()["map"]


def test_a_node_that_takes_no_data_says_why(node: Node) -> None:
    node.intake.limit(Room.SCARCE, ReadOnly("its disk has 1 MiB left"))
    assert node.readiness() == READY | {"disk": "its disk has 1 MiB left"}
    node.intake.limit(Room.AMPLE, ReadOnly("its disk has room"))
    assert node.readiness() == READY


def test_a_node_whose_write_failed_says_why(node: Node) -> None:
    node.intake.fail(ReadOnly("a write to disk failed"))
    assert node.readiness()["disk"] == "a write to disk failed"
    node.intake.recovered()
    assert node.readiness() == READY


def test_a_disk_that_hangs_and_a_corrupt_engine_are_obstacles(node: Node) -> None:
    write = object()
    node.in_sync.watch_own_disk(write, 0.0)
    node.in_sync.watch_own_disk(write, 10.0)
    assert node.readiness()["disk"] == "the disk does not answer"
    node.engine.corruption = "a bad block"
    assert "a bad block" in node.readiness()["disk"]
