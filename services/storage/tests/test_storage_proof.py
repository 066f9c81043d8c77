"""An engine counts when the cluster knows it, and holds what the cluster was told that it holds."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from kit.coordinators import LossyCoordinator
from kit.engines import DamagedEngine
from kit.proofs import ME, UID, ProofNode

from dstk_cluster.engines import KnownEngine
from dstk_cluster.mapstore import MapStore
from dstk_cluster.membership import NodeIdTaken
from dstk_cluster.port import CoordinatorUnavailable, Put
from dstk_keytypes import NodeId
from dstk_service.testing import ManualClock, eventually
from dstk_storage.domain.errors import ReadOnly, StorageError
from dstk_storage.domain.events import EngineReplaced
from dstk_storage.domain.identity import EngineIdentity, doubt
from dstk_storage.domain.proof import MARK_SECONDS
from dstk_storage.domain.room import Room
from dstk_storage.ports import EngineCorruption

OTHER = NodeId("other")


@pytest.fixture
def node() -> ProofNode:
    made = ProofNode()
    made.fill(EngineIdentity.new(ME, "c", 1))
    return made


async def test_a_new_engine_becomes_known_and_each_start_raises_its_mark(node: ProofNode) -> None:
    first = await node.start()
    assert (first.mark, await node.known()) == (1, KnownEngine(first.engine, 1))
    second = await node.start()
    assert second == replace(first, mark=2) == node.own
    assert await node.known() == second.known
    assert node.observer.events == []


async def test_an_engine_is_a_founding_one_only_while_there_is_no_map(node: ProofNode) -> None:
    assert (await node.start()).founding
    await MapStore(node.etcd, "c").bootstrap([], [ME])
    assert (await node.start()).founding, "it stays one"
    node.fill(EngineIdentity.new(ME, "c", 2, "damaged"))
    assert not (await node.start()).founding


async def test_an_older_state_of_the_engine_is_replaced(node: ProofNode) -> None:
    await node.start()
    image = node.own
    await node.start()
    node.fill(image)
    found = await node.start()
    assert found.engine != image.engine
    assert "older than it was" in found.why
    assert node.observer.events == [EngineReplaced(found.why)]


async def test_the_mark_at_the_end_makes_an_image_from_before_it_an_older_one(node: ProofNode) -> None:
    with node.process() as proof:
        await proof.establish(UID, lambda: None)
        image = node.own
        await proof.end()
    node.fill(image)
    assert (await node.start()).engine != image.engine


async def test_another_nodes_engine_is_replaced_and_left_alone(node: ProofNode) -> None:
    await node.start()
    node.fill(EngineIdentity.new(OTHER, "c", 1))
    found = await node.start()
    assert (found.node, "node 'other'" in found.why) == (ME, True)
    assert await node.registry.read(OTHER) is None


async def test_an_engine_that_was_replaced_does_not_come_back(node: ProofNode) -> None:
    old = await node.start()
    node.fill(EngineIdentity.new(ME, "c", 2, "damaged"))
    new = await node.start()
    node.fill(old)
    found = await node.start()
    assert found.engine not in (old.engine, new.engine)
    assert "was replaced by" in found.why


async def test_an_empty_directory_with_the_nodes_id_says_what_it_replaces(node: ProofNode) -> None:
    old = await node.start()
    node.fill(EngineIdentity.new(ME, "c", 2))
    found = await node.start()
    assert old.engine in found.why
    assert node.own == found


async def test_an_engine_ahead_of_what_is_known_crashed_in_between(node: ProofNode) -> None:
    own = await node.start()
    node.fill(replace(own, mark=own.mark + 1))
    found = await node.start()
    assert (found.engine, found.why) == (own.engine, "")
    assert found.mark == own.mark + 2


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_an_answer_that_is_lost_leaves_the_engine_as_it_was(number: int) -> None:
    etcd = LossyCoordinator()
    node = ProofNode(etcd)
    node.fill(EngineIdentity.new(ME, "c", 1))
    engine = node.own.engine
    etcd.unanswered = {etcd.transactions + number}
    for _ in range(2):
        with node.process() as proof, suppress(CoordinatorUnavailable):
            await proof.claim()
    found = await node.start()
    assert (found.engine, found.why) == (engine, "")


async def test_what_cannot_be_read_is_replaced_and_read_again(node: ProofNode) -> None:
    await node.start()
    reads = []

    def load() -> None:
        reads.append(node.own.engine)
        if len(reads) == 1:
            raise EngineCorruption("a bad block")

    with node.process() as proof:
        await proof.establish(UID, load)
        assert proof.identity.why == "a bad block"
    assert len(set(reads)) == 2


async def test_an_empty_engine_does_not_take_the_place_of_a_node_that_runs(node: ProofNode) -> None:
    own = await node.start()
    await node.etcd.txn([], [Put(b"/dstk/c/nodes/me", b"{}")])
    node.fill(EngineIdentity.new(ME, "c", 2))
    with node.process() as proof, pytest.raises(NodeIdTaken, match="runs elsewhere"):
        await proof.claim()
    assert await node.known() == own.known


async def test_a_process_whose_place_was_taken_ends(node: ProofNode) -> None:
    with node.process() as proof:
        await proof.establish(UID, lambda: None)
        await node.registry.change(ME, await node.known(), KnownEngine("another", 0))
        with pytest.raises(NodeIdTaken):
            await proof.claim()


async def test_a_replacement_while_the_process_runs_is_known_soon(node: ProofNode) -> None:
    with node.process() as proof:
        await proof.establish(UID, lambda: None)
        await proof.replace("a bad block", keep=False)
        assert node.own.mark == 0
        await proof.claim()
        assert await node.known() == node.own.known == proof.identity.known
    assert node.observer.events == [EngineReplaced("a bad block")]


async def test_the_mark_is_raised_now_and_then_but_not_on_a_full_disk(node: ProofNode) -> None:
    clock = ManualClock()
    with node.process(clock=clock) as proof:
        await proof.establish(UID, lambda: None)
        running = asyncio.ensure_future(proof.run())
        await clock.advance(2 * MARK_SECONDS + 1)
        assert (await node.known(), node.own.mark) == (node.own.known, 3)
        proof._committer.intake.limit(Room.EXHAUSTED, ReadOnly("the disk is full"))
        await clock.advance(2 * MARK_SECONDS)
        assert node.own.mark == 3
        running.cancel()


async def test_a_disk_that_fails_is_waited_for(node: ProofNode) -> None:
    node.engine.failing = True
    with node.process() as proof, pytest.raises(StorageError):
        await proof.claim()
    node.engine.failing = False
    node.engine.reopen()
    assert (await node.start()).mark == 1


async def test_an_engine_that_takes_no_write_for_its_damage_is_replaced() -> None:
    engine = DamagedEngine()
    node = ProofNode(engine=engine)
    node.fill(EngineIdentity.new(ME, "c", 1, ""))
    await node.start()
    engine.damaged = True
    with node.process() as proof:
        establishing = asyncio.create_task(proof.establish(UID, lambda: None))
        await eventually(lambda: not engine.damaged)
        proof._committer.intake.recovered()  # as DiskGuard does where writes have failed
        await establishing
        assert proof.identity.why == "a table of it"


OWN = EngineIdentity("e1", ME, "c", UID, mark=3)


@pytest.mark.parametrize(
    ("own", "known", "believed"),
    [
        (OWN, None, True),
        (OWN, KnownEngine("e1", 3), True),
        (OWN, KnownEngine("e1", 2), True),
        (OWN, KnownEngine("e1", 4), False),
        (OWN, KnownEngine("e2", 1), False),
        (replace(OWN, mark=0), KnownEngine("e2", 9), True),
        (replace(OWN, mark=0), KnownEngine("e1", 1), False),
        (replace(OWN, node=OTHER), KnownEngine("e1", 3), False),
        (replace(OWN, node=OTHER, mark=0), None, False),
        (replace(OWN, cluster_uid="another"), None, False),
        (replace(OWN, cluster_uid=""), None, True),
    ],
)
def test_when_an_engine_is_believed(own: EngineIdentity, known: KnownEngine | None, believed: bool) -> None:
    assert (doubt(own, known, ME, UID) == "") is believed
