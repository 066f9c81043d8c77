"""What only one node had in sync is lost with its disk. It is never served as empty: callers, the log, the events and the
doctor say so, the old files are kept, and an operator can take another replica for the truth.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.command import Command
from kit.damage import flipped, kept_by, removed
from kit.operators import operator_at
from kit.process_cluster import ProcessCluster, running

from dstk_client import Client, connect
from dstk_keytypes import Key
from dstk_service.errors import Quarantined
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

OPTIONS = ["--lease-seconds", "2"]
OLD, NEW = Key.text("a"), Key.text("b")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[ProcessCluster]:
    made = ProcessCluster(tmp_path, nodes=1, splits=["m"], router=True, storage_options=OPTIONS)
    with running(made):
        yield made


@pytest.fixture
def three(tmp_path: Path) -> Iterator[ProcessCluster]:
    made = ProcessCluster(tmp_path, nodes=3, router=True, storage_options=OPTIONS)
    with running(made):
        yield made


def client_of(cluster: ProcessCluster) -> Client:
    return connect(cluster.address("router"), mode="gateway", timeout=60)


async def finding(cluster: ProcessCluster, kind: str, *texts: str) -> dict[str, str]:
    """Waits until the doctor has a finding of a kind that names all the texts: a node may not have been asked yet."""
    found: dict[str, str] = {}

    async def is_found() -> bool:
        command = Command(cluster.address("router"), cluster.directory)
        done = await asyncio.to_thread(command, "doctor", "--output", "json")
        assert done.stdout, done.stderr
        findings = [each for each in json.loads(done.stdout)["findings"] if each["kind"] == kind]
        for each in findings:
            if all(text in each["what"] for text in texts):
                found.update(each)
        assert found, findings
        return True

    await eventually(is_found)
    return found


async def test_what_one_node_alone_held_is_quarantined_over_restarts_and_its_files_are_kept(
    alone: ProcessCluster,
) -> None:
    directory = alone.data_dir("storage-1")
    async with client_of(alone) as client:
        await client.put(OLD, b"1")
    await alone.stop("storage-1")
    removed("CURRENT")(directory, directory)
    for _ in range(2):
        await alone.start("storage-1")
        async with client_of(alone) as client:
            with pytest.raises(Quarantined):
                await client.get(OLD)
            with pytest.raises(Quarantined):
                await client.put(NEW, b"2")
        (kept,) = kept_by(directory)
        assert "LOG" in await asyncio.to_thread(os.listdir, kept)
        assert (await finding(alone, "lost", kept))["severity"] == "error"
        await alone.stop("storage-1")
    assert "CURRENT is missing" in alone.log("storage-1")
    assert "quarantined: its only replica in sync is lost" in alone.log("storage-1")


async def test_when_all_in_sync_are_lost_an_operator_takes_another_replica_for_the_truth(three: ProcessCluster) -> None:
    async with client_of(three) as client:
        await client.put(OLD, b"1")
        await three.stop("storage-3")
        await client.put(NEW, b"2")
    three.kill("storage-1", "storage-2")
    for name in ("storage-1", "storage-2"):
        flipped("MANIFEST-*")(three.data_dir(name), three.data_dir(name))
    for name in three.names:
        three.launch(name)
    for name in three.names:
        await three.serving(name)
    found = await finding(three, "lost", "storage-1", "storage-2")
    assert found["run"] == "dstk partitions repair 1 --force-primary storage-3"
    dstk = Command(three.address("router"), three.directory)
    done = await asyncio.to_thread(dstk, *found["run"].split()[1:], "--apply")
    assert done.returncode == 0, done.stderr
    async with operator_at(three.address("router")) as operator, client_of(three) as client:
        await operator.healed()
        assert (await client.get(OLD)) is not None
        assert (await client.get(NEW)) is None
        await operator.replicas_agree()
    events = dstk("controller", "events", "--output", "json").stdout.decode()
    assert "engine_replaced" in events
    assert (await finding(three, "engine_kept"))["run"].startswith("rm -r ")


async def test_a_node_that_takes_the_id_of_one_that_runs_is_refused(three: ProcessCluster) -> None:
    fresh = three.directory / "fresh"
    argv = three.argv("storage-1", "--data-dir", str(fresh), "--listen", "127.0.0.1:0", "--operations-listen", "off")
    ended = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "error: node 'storage-1' runs elsewhere" in ended.stderr
    async with operator_at(three.address("router")) as operator:
        await operator.healed()
        assert not (await operator.nodes())["storage-1"].engine.replaced_reason
