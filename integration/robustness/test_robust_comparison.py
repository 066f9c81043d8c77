"""Damage that no checksum shows is found by the background comparison of replicas, and mended; the operator is told."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence

import plyvel
import pytest
from kit.command import Command
from kit.operators import Operator
from kit.process_cluster import ProcessCluster, running

from dstk.v1 import admin_pb2
from dstk_client import Client
from dstk_keytypes import Key
from dstk_service.testing import eventually
from dstk_storage.domain import layout

pytestmark = [pytest.mark.slow]

KEYS = [Key.text(f"k/{number:04}") for number in range(1500)]
"""Several stretches of a comparison."""

Change = Callable[[bytes], bytes | None]
"""What becomes of a record as it is stored; None: it vanishes."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    with running(ProcessCluster(tmp_path_factory.mktemp("compared"), nodes=3, router=True)) as made:
        yield made


async def said(cluster: ProcessCluster, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command."""
    done = await asyncio.to_thread(Command(cluster.address("router"), cluster.directory), *arguments, COLUMNS="500")
    return done.returncode, (done.stdout + done.stderr).decode()


async def says(cluster: ProcessCluster, code: int, texts: Sequence[str], *arguments: str) -> None:
    """Waits until a command ends with this exit code and prints these texts: the next comparison may be under way."""

    async def is_said() -> bool:
        found, text = await said(cluster, *arguments)
        assert (found, [each for each in texts if each not in text]) == (code, []), text
        return True

    await eventually(is_said)


async def damage(cluster: ProcessCluster, node: str, change: Change, *keys: Key) -> None:
    """Alters records of a node that is stopped for it, as if they had always been so: LevelDB's checksums are right."""
    assert await cluster.stop(node) == 0
    with plyvel.DB(str(cluster.data_dir(node) / "leveldb")) as engine:
        for key in keys:
            raw = engine.get(layout.DATA + key)
            assert raw is not None
            if (new := change(raw)) is None:
                engine.delete(layout.DATA + key)
            else:
                engine.put(layout.DATA + key, new)
    await cluster.start(node)


def stored(cluster: ProcessCluster, node: str, key: Key) -> bytes | None:
    """What a stopped node has of a key."""
    with plyvel.DB(str(cluster.data_dir(node) / "leveldb")) as engine:
        found: bytes | None = engine.get(layout.DATA + key)
        return found


async def compare_often(cluster: ProcessCluster) -> None:
    code, text = await said(cluster, "controller", "set", "compare_hours=0.0005", "compare_bytes_per_second=64MiB")
    assert code == 0, text


async def outcome_is(operator: Operator, outcome: str) -> None:
    wanted = admin_pb2.ComparisonOutcome.Value(f"COMPARISON_OUTCOME_{outcome}")

    async def is_it() -> bool:
        (status,) = await operator.partitions()
        assert status.comparison.outcome == wanted, f"{status.comparison}"
        return True

    await eventually(is_it)


async def quarantined(cluster: ProcessCluster) -> list[str]:
    """The nodes that the cluster's events say were quarantined."""
    code, text = await said(cluster, "controller", "events", "--output", "json")
    assert code == 0, text
    return [event["subject"] for event in json.loads(text)["events"] if event["action"] == "outvoted"]


async def test_equal_replicas_are_said_to_be_equal(cluster: ProcessCluster, operator: Operator, client: Client) -> None:
    await client.bulk_insert([(key, b"right" + bytes(1000)) for key in KEYS])
    await compare_often(cluster)
    await outcome_is(operator, "EQUAL")
    await says(cluster, 0, ["all replicas are equal", "1,500 records"], "partitions", "show", "1")
    await says(cluster, 0, ["1 compared"], "doctor")


@pytest.mark.parametrize("leads", [False, True], ids=["follower", "primary"])
async def test_an_altered_and_a_lost_record_are_found_and_the_replica_is_rebuilt(
    cluster: ProcessCluster, operator: Operator, client: Client, leads: bool
) -> None:
    (status,) = await operator.partitions()
    victim = next(node for node in status.partition.replicas if node != status.partition.primary)
    before = len(await quarantined(cluster))
    await said(cluster, "controller", "set", "compare_hours=0")
    await damage(cluster, victim, lambda raw: raw[:-1] + b"\1", KEYS[700])
    await operator.healed()
    await damage(cluster, victim, lambda _: None, KEYS[1400])
    await operator.healed()
    if leads:
        await operator.transfer(1, victim)
        assert await client.get(KEYS[1400]) is None, "nothing has noticed yet"
    await compare_often(cluster)

    async def is_told() -> bool:
        told = await quarantined(cluster)
        return told[: len(told) - before] == [victim]

    await eventually(is_told)
    await operator.healed()
    assert [len((await client.get(key) or Missing()).value) for key in (KEYS[700], KEYS[1400])] == [1005, 1005]
    await outcome_is(operator, "EQUAL")
    assert await cluster.stop(victim) == 0
    record = stored(cluster, victim, KEYS[700])
    await cluster.start(victim)
    assert record is not None
    assert record.endswith(b"\0")


class Missing:
    value = b""


async def test_without_a_majority_nothing_is_changed_and_the_doctor_leads_out(
    cluster: ProcessCluster, operator: Operator, client: Client
) -> None:
    before = await quarantined(cluster)
    await operator.pause_controller()  # or it would see to the two replicas by itself
    await said(cluster, "controller", "set", "compare_hours=0", "replicas=2")
    (status,) = await operator.partitions()
    victim, gone = (node for node in status.partition.replicas if node != status.partition.primary)

    async def has_two() -> bool:
        (now,) = await operator.partitions()
        return len(now.partition.replicas) == 2

    await operator.remove_replica(1, gone)
    await eventually(has_two)
    await damage(cluster, victim, lambda raw: raw[:-1] + b"\2", KEYS[3])
    await operator.healed(replicas=2)
    await compare_often(cluster)
    await outcome_is(operator, "UNDECIDED")
    await operator.healed(replicas=2)
    assert await quarantined(cluster) == before, "nothing was changed"
    await says(cluster, 1, ["differ and no majority agrees", "dstk partitions repair 1"], "doctor")
    await says(cluster, 1, ["differs in 1 range"], "partitions", "repair", "1")
    code, _ = await said(cluster, "partitions", "repair", "1", "--apply")
    assert code == 0
    await operator.healed(replicas=2)
    await outcome_is(operator, "EQUAL")

    async def is_mended() -> bool:
        return "no majority" not in (await said(cluster, "doctor"))[1]

    await eventually(is_mended)
