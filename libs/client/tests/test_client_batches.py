"""How records are cut into batches: the same however they come, whole, and with the place of what is wrong."""

import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from dstk_client.bulk import BATCH_BYTES, Options, batches, pieces
from dstk_keytypes import InvalidArgument, Key

Pair = tuple[bytes, bytes]


def options(size: int) -> Options:
    return Options(size, 4, None, if_absent=False, timeout=None, progress=None)


async def one_by_one(records: Sequence[Pair]) -> AsyncIterator[Any]:
    for record in records:
        yield record


async def cut(records: Sequence[Any], size: int) -> list[list[Pair]]:
    """As a list, as an asynchronous iterable and in pieces: all give the same."""
    listed = [batch async for batch in batches(records, options(size))]
    assert [batch async for batch in batches(one_by_one(records), options(size))] == listed
    assert [batch for piece in pieces(iter(records), options(size)) async for batch in piece] == listed
    return listed


@pytest.mark.parametrize("value_bytes", [0, 70_000, 1 << 20])
@pytest.mark.parametrize("size", [1, 63, 64, 65, 10_000])
@pytest.mark.parametrize("count", [0, 1, 64, 130])
async def test_records_come_whole_and_in_batches_of_bounded_size(count: int, size: int, value_bytes: int) -> None:
    rng = random.Random(count + size)
    kinds = (Key, bytes)
    records: list[Any] = [(rng.choice(kinds)(b"%05d" % at), bytes(rng.choice([0, value_bytes]))) for at in range(count)]
    records = [rng.choice((tuple, list))(each) for each in records] if size == 64 else records
    cut_ = await cut(records, size)
    assert [pair for batch in cut_ for pair in batch] == [tuple(each) for each in records]
    assert all(0 < len(batch) <= size for batch in cut_)
    assert all(sum(len(key) + len(value) for key, value in batch[:-1]) < BATCH_BYTES for batch in cut_)


@pytest.mark.parametrize("bad", [(b"%05d", b""), (b"0", b""), ("text", b""), (b"~",), None, (b"~", "text")])
@pytest.mark.parametrize("at", [1, 63, 64, 100])
async def test_what_is_wrong_with_a_record_names_its_place(at: int, bad: Any) -> None:
    records: list[Any] = [(Key(b"%05d" % number), b"") for number in range(at)]
    records.append((records[-1][0], b"") if bad and bad[0] == b"%05d" else bad)
    for size in (1, 64, 10_000):
        with pytest.raises(InvalidArgument, match=rf"records\[{at}\]"):
            await cut(records, size)
        with pytest.raises(InvalidArgument, match=rf"records\[{at}\]"):
            [batch async for batch in batches(one_by_one(records), options(size))]
