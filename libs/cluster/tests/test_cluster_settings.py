"""Settings, desired states and overrides behave alike in memory and in etcd."""

import asyncio
import math
from typing import Any

import pytest

from dstk_cluster.model import ClusterMap, NodeInfo, NodeState, PartitionInfo
from dstk_cluster.overrides import ADOPTED, Override, OverrideStore, present_nodes
from dstk_cluster.port import Coordinator
from dstk_cluster.settings import DesiredState, NodeSpec, SettingsStore
from dstk_keytypes import InvalidId, KeyRange, NodeId, PartitionId
from dstk_service.controller_settings import MIB, ControllerSettings, InvalidSetting

ONE, TWO, THREE = NodeId("n1"), NodeId("n2"), NodeId("n3")
P1, P2 = PartitionId(1), PartitionId(2)


async def test_the_defaults_hold_until_they_are_changed(coordinator: Coordinator, cluster: str) -> None:
    store = SettingsStore(coordinator, cluster)
    assert (await store.load()).controller == ControllerSettings()
    old, new = await store.configure({"paused": True, "split_bytes": 5 * MIB})
    assert old == ControllerSettings()
    assert new == ControllerSettings(paused=True, split_bytes=5 * MIB)
    assert (await store.load()).controller == new
    _, last = await store.configure({"paused": False})
    assert last == ControllerSettings(split_bytes=5 * MIB), "settings that are not named stay"


async def test_changes_at_the_same_time_are_all_kept(coordinator: Coordinator, cluster: str) -> None:
    store = SettingsStore(coordinator, cluster)
    changes: dict[str, Any] = {
        "paused": True,
        "replicas": 5,
        "gone_seconds": 7.5,
        "merge_share": 0.0,
        "moves_at_once": 9,
    }
    await asyncio.gather(*(store.configure({name: value}) for name, value in changes.items()))
    assert (await store.load()).controller == ControllerSettings(**changes)


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("replicas", 0, "1..7"),
        ("replicas", 8, "1..7"),
        ("replicas", 2.5, "1..7"),
        ("gone_seconds", 0.5, "1..86400"),
        ("gone_seconds", math.nan, "1..86400"),
        ("split_bytes", MIB - 1, "1 MiB"),
        ("split_bytes", (1 << 40) + 1, "1 TiB"),
        ("split_operations", 99, "100"),
        ("split_operations", math.inf, "1000000000"),
        ("merge_share", 0.51, "0.5"),
        ("merge_share", -0.1, "never"),
        ("moves_at_once", 0, "1..32"),
        ("moves_at_once", 33, "1..32"),
        ("paused", 1, "true or false"),
    ],
)
async def test_a_setting_out_of_its_bounds_is_refused(
    coordinator: Coordinator, cluster: str, name: str, value: Any, limit: str
) -> None:
    store = SettingsStore(coordinator, cluster)
    with pytest.raises(InvalidSetting) as caught:
        await store.configure({name: value})
    assert caught.value.field == name
    assert caught.value.value == repr(value)
    assert limit in caught.value.limit
    assert (await store.load()).controller == ControllerSettings()


async def test_an_unknown_setting_is_refused_by_name(coordinator: Coordinator, cluster: str) -> None:
    with pytest.raises(InvalidSetting, match=r"'speed'.*paused, replicas"):
        await SettingsStore(coordinator, cluster).configure({"speed": 3})


async def test_bounds_themselves_are_allowed() -> None:
    ControllerSettings(True, 1, 1, MIB, 100, 0, 1)
    ControllerSettings(False, 7, 86_400, 1 << 40, 1e9, 0.5, 32)


async def test_desired_states_are_kept_per_node_and_given_up(coordinator: Coordinator, cluster: str) -> None:
    store = SettingsStore(coordinator, cluster)
    await store.set_node(ONE, NodeSpec(DesiredState.DRAINED, TWO))
    await store.set_node(THREE, NodeSpec(DesiredState.CORDONED))
    settings = await store.load()
    assert settings.nodes == {ONE: NodeSpec(DesiredState.DRAINED, TWO), THREE: NodeSpec(DesiredState.CORDONED)}
    assert settings.node(TWO) == NodeSpec()
    await store.set_node(ONE, NodeSpec())
    assert (await store.load()).nodes == {THREE: NodeSpec(DesiredState.CORDONED)}


async def test_a_replacement_is_another_node_and_needs_a_leaving_one(coordinator: Coordinator, cluster: str) -> None:
    store = SettingsStore(coordinator, cluster)
    with pytest.raises(InvalidSetting, match="replacement"):
        NodeSpec(DesiredState.CORDONED, TWO)
    with pytest.raises(InvalidSetting, match="another node"):
        await store.set_node(ONE, NodeSpec(DesiredState.REMOVED, ONE))
    with pytest.raises(InvalidId):
        NodeSpec(DesiredState.DRAINED, NodeId("Not An Id"))


async def test_an_override_replaces_an_earlier_one_of_its_kind(coordinator: Coordinator, cluster: str) -> None:
    store = OverrideStore(coordinator, cluster)
    nodes = frozenset({ONE, TWO})
    split, moved = Override(P1, "split", 100), Override(P1, "add_replica", 200, TWO, nodes)
    await store.keep([split, moved, Override(P2, "split", 100)])
    merged = Override(P1, "merge", 300)
    await store.keep([merged])
    assert set(await store.load()) == {merged, moved, Override(P2, "split", 100)}


async def test_forgetting_an_override_leaves_a_newer_one(coordinator: Coordinator, cluster: str) -> None:
    store = OverrideStore(coordinator, cluster)
    old, new = Override(P1, "transfer_primary", 100, ONE), Override(P1, "transfer_primary", 200, TWO)
    await store.keep([old])
    await store.keep([new])
    await store.forget([old, Override(P2, "split", 1)])
    assert await store.load() == (new,)
    await store.forget([new])
    assert await store.load() == ()


async def test_initial_boundaries_are_adopted_once(coordinator: Coordinator, cluster: str) -> None:
    store = OverrideStore(coordinator, cluster)
    await store.adopt([P2, P1], 500)
    await store.adopt([PartitionId(3)], 900)
    assert await store.load() == (Override(P1, ADOPTED, 500), Override(P2, ADOPTED, 500))


def test_present_nodes_are_alive_or_hold_a_replica() -> None:
    alive = NodeInfo(ONE, "a", "", NodeState.SERVING, 1, "1", "x")
    partition = PartitionInfo(P1, KeyRange(), 1, TWO, (TWO,), (TWO,))
    assert present_nodes(ClusterMap(1, "c", "u", (partition,), {ONE: alive})) == {ONE, TWO}
