"""Which server the map is read from."""

import pytest

from dstk.v1 import topology_pb2
from dstk_client.sources import PATIENCE, Sources


def node_update(*removed: str, full: bool = False, **nodes: str) -> topology_pb2.TopologyUpdate:
    return topology_pb2.TopologyUpdate(
        full=full,
        nodes=[topology_pb2.Node(id=name, address=address) for name, address in nodes.items()],
        removed_nodes=removed,
    )


def round_of(sources: Sources, count: int) -> list[str]:
    asked = []
    for _ in range(count):
        asked.append(sources.current)
        sources.failed()
    return asked


def test_seeds_are_asked_in_turn() -> None:
    assert round_of(Sources(["a:1", "b:1", "a:1"]), 5) == ["a:1", "b:1", "a:1", "b:1", "a:1"]


def test_every_node_of_the_map_is_asked_too() -> None:
    sources = Sources(["seed:1"])
    sources.learn(node_update(full=True, one="a:1", two="b:1", three="c:1"))
    assert sources.current == "seed:1"
    assert set(round_of(sources, 4)) == {"seed:1", "a:1", "b:1", "c:1"}


def test_a_node_that_has_moved_is_asked_at_its_new_address_alone() -> None:
    sources = Sources(["seed:1"])
    sources.learn(node_update(full=True, one="a:1", two="b:1"))
    sources.learn(node_update(one="a:2"))
    sources.learn(node_update("two"))
    assert set(round_of(sources, 4)) == {"seed:1", "a:2"}


def test_who_serves_the_map_is_asked_on_whatever_the_map_says_and_forgotten_once_it_fails() -> None:
    sources = Sources(["seed:1"])
    sources.learn(node_update(full=True, one="a:1", two="b:1"))
    sources.failed()
    serving = sources.current
    gone = "one" if serving == "a:1" else "two"
    sources.learn(node_update(gone))
    assert sources.current == serving
    sources.failed()
    sources.learn(node_update())
    assert serving not in round_of(sources, 4)


def test_a_map_of_which_all_nodes_leave_keeps_the_last_one() -> None:
    sources = Sources(["seed:1"])
    sources.learn(node_update(full=True, one="a:1", two="b:1"))
    sources.learn(node_update("one", "two"))
    assert len(set(round_of(sources, 4))) == 2
    sources.learn(node_update(full=True))
    assert len(set(round_of(sources, 4))) == 2


@pytest.mark.parametrize("seeds", [["a:1"], ["a:1", "b:1", "c:1"]])
def test_all_are_waited_for_longer_once_all_have_failed(seeds: list[str]) -> None:
    sources = Sources(seeds)
    assert sources.patience == PATIENCE.first
    round_of(sources, len(seeds) - 1)
    assert sources.patience == PATIENCE.first
    sources.failed()
    assert sources.patience == 2 * PATIENCE.first
    round_of(sources, 20 * len(seeds))
    assert sources.patience == PATIENCE.longest
    sources.learn(node_update())
    assert sources.patience == PATIENCE.first
