"""Who is right when replicas differ, and what of a comparison is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.stores import assignment, put, running_store

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.compared import Compared, Outcome
from dstk_storage.domain.history import START, Position
from dstk_storage.domain.replication import digests
from dstk_storage.domain.replication.digests import digest, stretch
from dstk_storage.domain.replication.verdicts import judge
from dstk_storage.ports import Engine

NODES = [NodeId(name) for name in ("a", "b", "c", "d", "e")]
P = PartitionId(1)


def seen_by_nodes(held: str) -> dict[NodeId, str]:
    """A letter for what each of the first nodes holds; a dot: it was not asked."""
    return {node: letter for node, letter in zip(NODES, held, strict=False) if letter != "."}


@pytest.mark.parametrize(
    ("replicas", "stretches", "good", "odd"),
    [
        (3, ["xxy"], "ab", "c"),
        (3, ["yxx"], "bc", "a"),
        (3, ["xyz"], "", "abc"),
        (3, ["xy."], "", "ab"),
        (2, ["xy"], "", "ab"),
        (4, ["xxyy"], "", "abcd"),
        (4, ["xxxy"], "abc", "d"),
        (5, ["xxxyz"], "abc", "de"),
        (5, ["xxyyz"], "", "abcde"),
        (5, ["xxy.."], "", "abc"),
        (3, ["xxy", "yxx"], "b", "ac"),
        (3, ["xxy", "yxx", "xyx"], "", "abc"),
        (3, ["xxy", "xyz"], "", "abc"),
    ],
)
def test_right_is_what_a_majority_of_all_replicas_holds_everywhere(
    replicas: int, stretches: list[str], good: str, odd: str
) -> None:
    verdict = judge(map(seen_by_nodes, stretches), replicas)
    assert (verdict.good, verdict.odd) == (frozenset(good), frozenset(odd))


@given(st.integers(2, 5), st.lists(st.text("xyz.", min_size=5, max_size=5), min_size=1, max_size=4))
def test_nobody_is_odd_and_right_and_who_is_right_has_most_on_its_side(replicas: int, stretches: list[str]) -> None:
    held = [seen_by_nodes(each[:replicas]) for each in stretches]
    verdict = judge(held, replicas)
    assert not verdict.good & verdict.odd
    assert verdict.good | verdict.odd == {node for each in held for node in each}
    for node in verdict.good:
        assert all(list(each.values()).count(each[node]) * 2 > replicas for each in held)


@given(st.integers(0, 1 << 50), st.sampled_from(Outcome), st.integers(0, 1 << 50), st.lists(st.sampled_from(NODES)))
def test_what_is_kept_of_a_comparison_is_read_back(
    at_ms: int, outcome: Outcome, records: int, nodes: list[NodeId]
) -> None:
    compared = Compared(at_ms, outcome, records, tuple(nodes))
    assert Compared.decoded(compared.encoded()) == compared


async def test_a_comparison_goes_with_its_partition_when_that_is_dropped() -> None:
    engine = MemoryEngine()
    async with running_store(engine) as store:
        (partition,) = store.locals
        partition.compared = Compared(5, Outcome.EQUAL, 7)
        store.note_compared(partition)
        await store.durable()
        assert engine.get(layout.compared_key(P)) is not None
        store.converge([assignment(2, b"x")])
        await store.durable()
        assert engine.get(layout.compared_key(P)) is None


async def test_a_digest_is_of_the_stored_records_at_the_position_that_is_stored_with_them(engine: Engine) -> None:
    async with running_store(engine) as store:
        assert digest(engine, P, KeyRange.everything()) == digest(engine, P, KeyRange(b"a", b"b"))
        for key in (b"a", b"b", b"c"):
            put(store, key)
        await store.durable()
        whole, part = (digest(engine, P, each) for each in (KeyRange.everything(), KeyRange(b"a", b"b")))
        assert whole is not None
        assert part is not None
        assert (whole.records, part.records) == (3, 1)
        assert whole.position == part.position == Position(1, 3)
        (partition,) = store.locals
        partition.needs_snapshot = True
        store.committer.persist_metadata(partition)
        await store.durable()
        assert digest(engine, P, KeyRange.everything()) is None, "it is being copied"
    empty = digest(MemoryEngine(), P, KeyRange.everything())
    assert empty is not None
    assert empty.position == START


async def test_a_stretch_has_few_records_and_few_bytes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "STRETCH_RECORDS", 3)
    monkeypatch.setattr(digests, "STRETCH_BYTES", 1000)
    async with running_store(engine) as store:
        for number in range(5):
            put(store, b"a%d" % number)
        put(store, b"b", bytes(5000))
        put(store, b"c")
        await store.durable()
        rest, ends = KeyRange.everything(), list[bytes | None]()
        while not ends or ends[-1] is not None:
            ends.append(stretch(engine, rest).end)
            rest = KeyRange(ends[-1] or b"", None)
        assert ends == [b"a3", b"c", None]
