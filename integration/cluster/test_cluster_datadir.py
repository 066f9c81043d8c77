"""Data directories that must not be used, each with a message that says what to do."""

import json
import subprocess
from pathlib import Path

import pytest
from kit.process_cluster import ProcessCluster

pytestmark = [pytest.mark.slow]


def refused(argv: list[str]) -> str:
    """Runs a storage node that must not start, and returns what it says."""
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1, ended.stderr
    said = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1, ended.stderr
    return said[0]


async def test_a_directory_that_another_process_uses_is_refused(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path) as cluster:
        said = refused(cluster.argv("storage-1", "--listen", "127.0.0.1:0"))
        assert f"in use by another storage node (process {cluster.pid('storage-1')})" in said
        assert "--data-dir" in said


async def test_a_directory_of_another_clusters_name_is_refused(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path) as cluster:
        cluster.kill("storage-1")
        said = refused(cluster.argv("storage-1", "--cluster", "other"))
        assert "belongs to cluster 'test', but --cluster is 'other'" in said


async def test_a_directory_of_a_cluster_with_the_same_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with ProcessCluster(tmp_path / "one") as one, ProcessCluster(tmp_path / "two") as two:
        one.kill("storage-1")
        said = refused(one.argv("storage-1", "--etcd", two.address("etcd")))
        assert "belongs to cluster 'test' with uid" in said
        assert "Point --etcd at the etcd of its own cluster" in said


async def test_a_directory_of_a_future_format_is_refused(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path) as cluster:
        cluster.kill("storage-1")
        identity = cluster.data_dir("storage-1") / "node.json"
        identity.write_text(json.dumps(json.loads(identity.read_text()) | {"format_version": 99}))
        said = refused(cluster.argv("storage-1"))
        assert "has format version 99; this program knows 2" in said
        assert "a newer one" in said


async def test_a_directory_of_another_node_is_refused(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path) as cluster:
        cluster.kill("storage-1")
        said = refused(cluster.argv("storage-1", "--node-id", "other"))
        assert "belongs to node 'storage-1', but --node-id is 'other'" in said


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path) as cluster:
        own = ("--data-dir", str(tmp_path / "fresh"), "--node-id", "fresh")
        operations = cluster.operations("storage-1")
        assert f"the operations server cannot listen on '{operations}'" in refused(cluster.argv("storage-1", *own))
        argv = cluster.argv("storage-1", *own, "--operations-listen", "off")
        assert f"cannot listen on '{cluster.address('storage-1')}'" in refused(argv)
