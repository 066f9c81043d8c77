"""What the cluster knows of its nodes' engines, kept alike by the in-memory twin and by etcd."""

from dstk_cluster.engines import EngineRegistry, KnownEngine
from dstk_cluster.mapstore import MapStore
from dstk_cluster.port import Coordinator
from dstk_keytypes import NodeId

ONE, TWO = NodeId("n1"), NodeId("n2")


async def test_an_engine_is_known_once_it_is_written_down_and_for_its_node_alone(
    coordinator: Coordinator, cluster: str
) -> None:
    registry = EngineRegistry(coordinator, cluster)
    assert await registry.read(ONE) is None
    assert await registry.change(ONE, None, KnownEngine("a", 0))
    assert await registry.read(ONE) == ("a", 0)
    assert await registry.read(TWO) is None


async def test_a_change_that_rests_on_something_else_is_not_made(coordinator: Coordinator, cluster: str) -> None:
    registry = EngineRegistry(coordinator, cluster)
    await registry.change(ONE, None, KnownEngine("a", 1))
    assert not await registry.change(ONE, None, KnownEngine("b", 0))
    assert not await registry.change(ONE, KnownEngine("a", 0), KnownEngine("b", 0))
    assert not await registry.change(TWO, KnownEngine("a", 1), KnownEngine("b", 0))
    assert await registry.read(ONE) == ("a", 1)
    assert await registry.change(ONE, KnownEngine("a", 1), KnownEngine("b", 0))
    assert await registry.read(ONE) == ("b", 0)


async def test_the_map_counts_from_the_moment_that_it_is_whole(coordinator: Coordinator, cluster: str) -> None:
    registry = EngineRegistry(coordinator, cluster)
    assert not await registry.has_map()
    assert await MapStore(coordinator, cluster).bootstrap([], [ONE])
    assert await registry.has_map()


async def test_the_map_is_read_past_the_engines(coordinator: Coordinator, cluster: str) -> None:
    store = MapStore(coordinator, cluster)
    await store.bootstrap([], [ONE])
    before = (await store.load()).partitions
    await EngineRegistry(coordinator, cluster).change(ONE, None, KnownEngine("a", 1))
    assert (await store.load()).partitions == before
    assert not await EngineRegistry(coordinator, cluster).is_registered(ONE)
