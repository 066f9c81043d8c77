"""The plan of a local cluster: what is asked for, over what is remembered, over defaults."""

import json
from collections.abc import Callable, Collection
from dataclasses import astuple
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_localcluster import ClusterSpec, LocalClusterError, plan
from dstk_localcluster.plan import ClusterPlan
from dstk_localcluster.spec import MAX_NODES


def picker(first: int) -> Callable[[Collection[int]], int]:
    numbers = count(first)

    def pick(taken: Collection[int]) -> int:
        return next(port for port in numbers if port not in taken)

    return pick


def resolve(
    spec: ClusterSpec, saved: ClusterPlan | None = None, busy: Collection[int] = (), unused: int = 20_000
) -> ClusterPlan:
    return plan.resolve(spec, saved, lambda port: port not in busy, picker(unused))


def test_a_new_cluster_has_three_nodes_and_a_partition_for_each() -> None:
    made = resolve(ClusterSpec())
    assert made.nodes == 3
    assert made.splits == ("i", "r")


@given(st.integers(1, MAX_NODES))
def test_every_port_is_given_once(nodes: int) -> None:
    made = resolve(ClusterSpec(nodes=nodes))
    single = [made.router_port, made.etcd_port, made.etcd_peer_port, made.router_operations_port]
    ports = [*single, *made.storage_ports, *made.storage_operations_ports]
    ports += [*astuple(made.metrics), *astuple(made.observability)]
    assert len(set(ports)) == len(ports) == 2 * nodes + 14
    assert 0 not in ports


@given(st.integers(1, MAX_NODES))
def test_default_splits_are_ascending_and_leave_a_partition_for_each_node_up_to_27(nodes: int) -> None:
    splits = plan.default_splits(nodes)
    assert list(splits) == sorted(set(splits))
    assert len(splits) == min(nodes - 1, 26)


def test_ports_are_kept_where_they_are_still_free() -> None:
    first = resolve(ClusterSpec())
    again = resolve(ClusterSpec(), first, busy={first.storage_ports[1]}, unused=30_000)
    assert again.router_port == first.router_port
    assert again.storage_ports[0] == first.storage_ports[0]
    assert again.storage_ports[1] != first.storage_ports[1]


def test_a_plan_that_lacks_ports_gets_them_and_keeps_the_others(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text(json.dumps(SOUND))
    old = plan.load(tmp_path / "cluster.json")
    made = resolve(ClusterSpec(), old)
    assert (made.router_port, made.storage_ports) == (3, (4,))
    assert made.router_operations_port
    assert len(made.storage_operations_ports) == 1
    assert all(astuple(made.metrics))
    assert all(astuple(made.observability))


def test_the_console_keeps_the_port_that_it_was_given() -> None:
    first = resolve(ClusterSpec(console_port=7200))
    assert first.metrics.console == 7200
    assert resolve(ClusterSpec(), first, unused=30_000).metrics == first.metrics
    assert resolve(ClusterSpec(), first, busy={7200}, unused=30_000).metrics.console == 30_000


def test_splits_are_sorted_as_keys() -> None:
    made = resolve(ClusterSpec(splits=("z", '("city","FR")', "b")))
    assert made.splits == ('("city","FR")', "b", "z")


def test_a_cluster_can_grow() -> None:
    first = resolve(ClusterSpec(nodes=2))
    grown = resolve(ClusterSpec(nodes=4), first, unused=30_000)
    assert grown.storage_ports[:2] == first.storage_ports
    assert grown.storage_operations_ports[:2] == first.storage_operations_ports
    assert len(grown.storage_operations_ports) == 4
    assert grown.nodes == 4
    assert grown.splits == first.splits


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (ClusterSpec(nodes=1), "holds 3 storage nodes"),
        (ClusterSpec(nodes=0), "nodes 0 is out of bounds"),
        (ClusterSpec(nodes=33), "nodes 33 is out of bounds"),
        (ClusterSpec(splits=("q",)), "splits shapes a new cluster"),
        (ClusterSpec(router_port=99_999), "router_port 99999 is out of bounds"),
        (ClusterSpec(router_port=7000), "port 7000 is taken"),
        (ClusterSpec(console_port=-1), "console_port -1 is out of bounds"),
        (ClusterSpec(console_port=7000), "port 7000 is taken"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_reason(spec: ClusterSpec, says: str) -> None:
    with pytest.raises(LocalClusterError, match=says) as refusal:
        resolve(spec, resolve(ClusterSpec()), busy={7000})
    assert refusal.value.hint


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    made = resolve(ClusterSpec(splits=("m", '("a", 1)')))
    plan.save(tmp_path / "cluster.json", made)
    assert plan.load(tmp_path / "cluster.json") == made
    assert plan.load(tmp_path / "none.json") is None


SOUND = {"format": 1, "cluster": "x", "etcd_port": 1, "etcd_peer_port": 2, "router_port": 3}
SOUND |= {"storage_ports": [4], "splits": ["a", "b"]}


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", '{"format": 1}', '{"format": 99}', "null", "[" * 100_000),
        json.dumps(SOUND | {"etcd_port": "a"}),
        json.dumps(SOUND | {"etcd_port": 1.5}),
        json.dumps(SOUND | {"router_port": True}),
        json.dumps(SOUND | {"router_port": 70_000}),
        json.dumps(SOUND | {"etcd_peer_port": -1}),
        json.dumps(SOUND | {"storage_ports": []}),
        json.dumps(SOUND | {"storage_ports": [0] * 33}),
        json.dumps(SOUND | {"storage_ports": "ab"}),
        json.dumps(SOUND | {"cluster": "X Y"}),
        json.dumps(SOUND | {"cluster": 3}),
        json.dumps(SOUND | {"splits": ["b", "a"]}),
        json.dumps(SOUND | {"splits": ["a", "a"]}),
        json.dumps(SOUND | {"splits": [3]}),
        json.dumps(SOUND | {"splits": ['("a"']}),
        json.dumps(SOUND | {"more": 1}),
    ],
)
def test_a_damaged_plan_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps(SOUND))
    assert plan.load(path) is not None
    path.write_text(text)
    with pytest.raises(LocalClusterError, match=r"cluster\.json"):
        plan.load(path)


@pytest.mark.parametrize(
    ("spec", "differs"),
    [
        (ClusterSpec(), ""),
        (ClusterSpec(nodes=3), ""),
        (ClusterSpec(nodes=5), "3 storage nodes, not 5"),
        (ClusterSpec(router_port=1), "router listens on"),
        (ClusterSpec(console_port=1), "console listens on"),
        (ClusterSpec(splits=("r", "i")), ""),
        (ClusterSpec(splits=("x",)), "other borders"),
        (ClusterSpec(observability=True), "without Prometheus, Alertmanager and Jaeger"),
    ],
)
def test_a_spec_is_compared_with_the_running_cluster(spec: ClusterSpec, differs: str) -> None:
    said = plan.difference(spec, resolve(ClusterSpec()), is_watched=False)
    assert differs in said
    assert bool(said) == bool(differs)


def test_a_watched_cluster_is_what_was_asked_for() -> None:
    spec = ClusterSpec(observability=True)
    assert plan.difference(spec, resolve(spec), is_watched=True) == ""
    assert plan.difference(ClusterSpec(), resolve(spec), is_watched=True) == ""
