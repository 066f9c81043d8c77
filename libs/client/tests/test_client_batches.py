"""How records are cut into batches: the same from any iterable, whole, and with the place of a wrong record."""

import random
from collections.abc import AsyncIterator, Sequence
from itertools import chain
from typing import Any

import pytest

from dstk_client.batching import BATCH_BYTES, Batch, batches, groups
from dstk_keytypes import InvalidArgument, Key

Triple = tuple[bytes, bytes, int]


async def one_by_one(records: Sequence[Any]) -> AsyncIterator[Any]:
    for record in records:
        yield record


def triples(batch: Batch) -> list[Triple]:
    moments = batch.expires_at_ms or [0] * len(batch.records)
    return [(*pair, moment) for pair, moment in zip(batch.records, moments, strict=True)]


async def cut(records: Sequence[Any], size: int) -> list[list[Triple]]:
    """Cuts the records as a list, as an asynchronous iterable and in groups: all give the same."""
    listed = [triples(batch) async for batch in batches(records, size)]
    assert [triples(batch) async for batch in batches(one_by_one(records), size)] == listed
    assert list(map(triples, chain.from_iterable(groups(iter(records), size, 4)))) == listed
    return listed


@pytest.mark.parametrize("kind", ["pairs", "triples", "mixed"])
@pytest.mark.parametrize("value_bytes", [0, 70_000, 1 << 20])
@pytest.mark.parametrize("size", [1, 63, 64, 65, 10_000])
@pytest.mark.parametrize("count", [0, 1, 64, 130])
async def test_records_come_whole_and_in_batches_of_bounded_size(
    count: int, size: int, value_bytes: int, kind: str
) -> None:
    rng = random.Random(count + size)
    records: list[Any] = [
        (rng.choice((Key, bytes))(b"%05d" % at), bytes(rng.choice([0, value_bytes])), rng.choice([0, at]))
        for at in range(count)
    ]
    lengths = {"pairs": [2], "triples": [3], "mixed": [2, 3]}[kind]
    records = [each[: rng.choice(lengths)] for each in records]
    records = [rng.choice((tuple, list))(each) for each in records] if size == 64 else records
    cut_ = await cut(records, size)
    assert [triple for batch in cut_ for triple in batch] == [(*each, 0)[:3] for each in records]
    assert all(0 < len(batch) <= size for batch in cut_)
    assert all(sum(len(key) + len(value) for key, value, _ in batch[:-1]) < BATCH_BYTES for batch in cut_)


NOT_RECORDS = [
    *((b"%05d", b""), (b"0", b""), ("text", b""), (b"~",), None, (b"~", "text")),
    *((b"~", b"", -1), (b"~", b"", True), (b"~", b"", "soon"), (b"~", b"", 1 << 80), (b"~", b"", 0, 0)),
]


@pytest.mark.parametrize("bad", NOT_RECORDS)
@pytest.mark.parametrize("at", [1, 63, 64, 100])
async def test_a_wrong_record_is_named_by_its_place(at: int, bad: Any) -> None:
    records: list[Any] = [(Key(b"%05d" % number), b"") for number in range(at)]
    records.append((records[-1][0], b"") if bad and bad[0] == b"%05d" else bad)
    for size in (1, 64, 10_000):
        with pytest.raises(InvalidArgument, match=rf"records\[{at}\]"):
            await cut(records, size)
        with pytest.raises(InvalidArgument, match=rf"records\[{at}\]"):
            [batch async for batch in batches(one_by_one(records), size)]


def test_a_list_of_batches_is_bounded() -> None:
    records = [(Key(b"%05d" % number), b"") for number in range(10)]
    assert [[len(batch.records) for batch in ready] for ready in groups(records, 2, 2)] == [[2, 2], [2, 2], [2]]
    assert list(groups([], 2, 2)) == [[]]
