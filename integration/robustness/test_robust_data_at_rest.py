"""A node's files are damaged, lost, exchanged or set back while it is stopped. Whatever befalls them, the others serve, the
node starts, is rebuilt and becomes primary with every record; and it says what has happened and where the old files are.
"""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.damage import (
    Damage,
    a_file,
    all_removed,
    cut,
    emptied,
    everything_gone,
    flipped,
    forget,
    gone,
    kept_by,
    no_card_and_damaged,
    no_card_and_no_engine,
    of_another_node,
    overwritten,
    removed,
)
from kit.operators import Operator, operator_at
from kit.process_cluster import ProcessCluster, running

from dstk.v1 import admin_pb2
from dstk_client import connect
from dstk_keytypes import Key, KeyRange
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

VICTIM, OTHER = "storage-1", "storage-2"
RECORDS = {Key.text(f"{letter}{number:03d}"): bytes([number]) * 600 for letter in "agpz" for number in range(100)}
OPTIONS = ["--write-buffer-bytes", str(64 << 10), "--lease-seconds", "2"]
"""Small tables, so that there are many; and a node that was killed may start soon."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    made = ProcessCluster(
        tmp_path_factory.mktemp("rest"), nodes=3, splits=["g", "p"], router=True, storage_options=OPTIONS
    )
    with running(made):
        asyncio.run(fill(made))
        yield made


async def fill(cluster: ProcessCluster) -> None:
    async with connect(cluster.address("router"), mode="gateway", timeout=60) as client:
        for key, value in RECORDS.items():
            await client.put(key, value)


async def held(cluster: ProcessCluster) -> dict[Key, bytes]:
    async with connect(cluster.address("router"), mode="gateway", timeout=60) as client:
        return {record.key: record.value async for record in client.scan(KeyRange.everything())}


LOSSES: dict[str, Damage] = {
    "CURRENT removed": removed("CURRENT"),
    "CURRENT empty": overwritten("CURRENT", b""),
    "CURRENT names no file": overwritten("CURRENT", b"MANIFEST-999999\n"),
    "CURRENT names a file outside": overwritten("CURRENT", b"../node.json\n"),
    "CURRENT is garbage": overwritten("CURRENT", b"\xff\xfe\x00"),
    "MANIFEST removed": removed("MANIFEST-*"),
    "MANIFEST empty": overwritten("MANIFEST-*", b""),
    "MANIFEST cut in its middle": cut("MANIFEST-*", 0.5),
    "MANIFEST cut at its end": cut("MANIFEST-*", 0.97),
    "MANIFEST flipped": flipped("MANIFEST-*"),
    "MANIFEST is garbage": overwritten("MANIFEST-*", b"\x00" * 5000),
    "a table removed": removed("*.ldb"),
    "all tables removed": all_removed("*.ldb"),
    "a table empty": cut("*.ldb", 0),
    "a table cut": cut("*.ldb", 0.6),
    "the log removed": removed("*.log"),
    "the log empty": cut("*.log", 0),
    "the log cut at its end": cut("*.log", 0.99),
    "the log flipped": flipped("*.log"),
    "another node's engine": of_another_node,
    "the engine's directory empty": emptied,
    "the engine's directory gone": gone,
    "a file in the engine's place": a_file,
    "everything gone": everything_gone,
    "node.json and the engine gone": no_card_and_no_engine,
    "node.json and MANIFEST damaged": no_card_and_damaged,
}


@pytest.mark.parametrize("name", LOSSES)
async def test_a_node_that_lost_what_it_held_is_rebuilt_and_leads_with_every_record(
    cluster: ProcessCluster, name: str
) -> None:
    victim = cluster.data_dir(VICTIM)
    await cluster.stop(VICTIM)
    LOSSES[name](victim, cluster.data_dir(OTHER))
    assert await held(cluster) == RECORDS, "the others serve"
    await cluster.start(VICTIM)
    engine = await leads_with_every_record(cluster)
    assert engine.replaced_reason
    assert "b'" not in engine.replaced_reason
    assert list(engine.kept) == kept_by(victim)
    forget(victim)


async def leads_with_every_record(cluster: ProcessCluster) -> admin_pb2.EngineStatus:
    """Waits until the victim is whole, has it lead everything, and returns what it says of its engine."""
    async with operator_at(cluster.address("router")) as operator:
        await whole_again(operator)
        await operator.lead_everything(VICTIM)
        assert await held(cluster) == RECORDS
        return (await operator.nodes())[VICTIM].engine


async def whole_again(operator: Operator) -> None:
    """Every partition has its three replicas in sync, and each of them is whole."""

    async def is_whole() -> bool:
        entries = [status.partition for status in await operator.partitions()]
        replicas = await operator.replicas()
        in_sync = all(len(entry.in_sync) == len(entry.replicas) == 3 for entry in entries)
        return in_sync and not any(replica.needs_snapshot or replica.quarantined for replica in replicas)

    await eventually(is_whole)


HARMLESS: dict[str, Damage] = {
    "node.json removed": lambda directory, _: (directory / "node.json").unlink(),
    "node.json empty": lambda directory, _: (directory / "node.json").write_bytes(b"") and None,
    "node.json is garbage": lambda directory, _: (directory / "node.json").write_bytes(b"\x00\xff{[") and None,
    "node.json is a list": lambda directory, _: (directory / "node.json").write_text("[]") and None,
    "node.json of another node": lambda directory, other: shutil.copy(other / "node.json", directory) and None,
    "LevelDB's LOG removed": removed("LOG"),
    "LevelDB's LOG is garbage": overwritten("LOG", b"\xff" * 1000),
    "LevelDB's LOCK removed": removed("LOCK"),
    "a foreign file beside": lambda directory, _: (directory / "leveldb" / "core").write_bytes(b"x") and None,
    "a half-made engine beside": lambda directory, _: (directory / "leveldb.new").mkdir(),
}


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_proves_itself_is_kept(cluster: ProcessCluster, name: str) -> None:
    async with operator_at(cluster.address("router")) as operator:
        before = (await operator.nodes())[VICTIM].engine.id
    await cluster.stop(VICTIM)
    HARMLESS[name](cluster.data_dir(VICTIM), cluster.data_dir(OTHER))
    await cluster.start(VICTIM)
    assert (await leads_with_every_record(cluster)).id == before
    assert not kept_by(cluster.data_dir(VICTIM))


@pytest.mark.parametrize("what", ["", "leveldb"])
async def test_a_disk_that_comes_back_older_is_not_believed(cluster: ProcessCluster, tmp_path: Path, what: str) -> None:
    directory, image = cluster.data_dir(VICTIM), tmp_path / "image"
    await cluster.stop(VICTIM)
    shutil.copytree(directory / what, image)
    await cluster.start(VICTIM)
    await cluster.stop(VICTIM)
    shutil.rmtree(directory / what)
    shutil.copytree(image, directory / what)
    await cluster.start(VICTIM)
    assert "older than it was" in (await leads_with_every_record(cluster)).replaced_reason
    forget(directory)


async def test_nodes_that_are_killed_keep_their_engines(cluster: ProcessCluster) -> None:
    async with operator_at(cluster.address("router")) as operator:
        before = {name: status.engine.id for name, status in (await operator.nodes()).items()}
        cluster.kill(*cluster.names)
        for name in cluster.names:
            cluster.launch(name)
        await asyncio.gather(*map(cluster.serving, cluster.names))
        assert (await leads_with_every_record(cluster)).id == before[VICTIM]
        assert {name: status.engine.id for name, status in (await operator.nodes()).items()} == before


async def test_a_log_that_is_cut_after_a_kill_costs_nothing_while_others_have_it(cluster: ProcessCluster) -> None:
    cluster.kill(VICTIM)
    cut("*.log", 0.5)(cluster.data_dir(VICTIM), cluster.data_dir(OTHER))
    await cluster.start(VICTIM)
    await leads_with_every_record(cluster)
    forget(cluster.data_dir(VICTIM))


async def test_two_of_three_damaged_at_once_are_copied_from_the_third(cluster: ProcessCluster) -> None:
    for name in (VICTIM, OTHER):
        await cluster.stop(name)
        flipped("MANIFEST-*")(cluster.data_dir(name), cluster.data_dir(name))
    for name in (VICTIM, OTHER):
        cluster.launch(name)
    await asyncio.gather(cluster.serving(VICTIM), cluster.serving(OTHER))
    assert (await leads_with_every_record(cluster)).replaced_reason
    for name in (VICTIM, OTHER):
        forget(cluster.data_dir(name))


async def test_engines_that_two_nodes_have_exchanged_are_moved_aside(cluster: ProcessCluster, tmp_path: Path) -> None:
    engines = [cluster.data_dir(name) / "leveldb" for name in (VICTIM, OTHER)]
    for name in (VICTIM, OTHER):
        await cluster.stop(name)
    for source, target in ((engines[0], tmp_path / "x"), (engines[1], engines[0]), (tmp_path / "x", engines[1])):
        source.rename(target)
    for name in (VICTIM, OTHER):
        cluster.launch(name)
    await asyncio.gather(cluster.serving(VICTIM), cluster.serving(OTHER))
    assert f"node {OTHER!r}'s" in (await leads_with_every_record(cluster)).replaced_reason
    for name in (VICTIM, OTHER):
        forget(cluster.data_dir(name))


async def test_tables_that_go_while_the_node_runs_are_missed_at_its_next_start(cluster: ProcessCluster) -> None:
    all_removed("*.ldb")(cluster.data_dir(VICTIM), cluster.data_dir(OTHER))
    cluster.kill(VICTIM)
    await cluster.start(VICTIM)
    assert "ldb is missing" in (await leads_with_every_record(cluster)).replaced_reason
    forget(cluster.data_dir(VICTIM))


async def test_without_etcd_a_damaged_node_waits_and_holds_nobody_up(cluster: ProcessCluster) -> None:
    await cluster.stop(VICTIM)
    cluster.kill("etcd")
    removed("CURRENT")(cluster.data_dir(VICTIM), cluster.data_dir(OTHER))
    cluster.launch(VICTIM)
    assert await held(cluster) == RECORDS
    await cluster.start("etcd")
    await cluster.serving(VICTIM)
    assert (await leads_with_every_record(cluster)).replaced_reason
    forget(cluster.data_dir(VICTIM))
