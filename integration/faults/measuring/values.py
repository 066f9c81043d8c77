"""Filling partitions with values that no compression makes smaller."""

import random
from collections.abc import Callable, Iterator

from dstk_client import Client
from dstk_client.bulk import insert_sorted
from dstk_keytypes import Key
from dstk_service.errors import WriteAmbiguous

_POOL_BYTES = 4 << 20
_SLICE_RECORDS = 10_000
_TRIES = 5


def noise(size: int, seed: int = 1) -> Iterator[bytes]:
    """Endlessly, each a piece of one pool, which costs next to nothing: tables compress a few kilobytes at a time."""
    rng = random.Random(seed)
    pool = rng.randbytes(_POOL_BYTES + size)
    while True:
        begin = rng.randrange(_POOL_BYTES)
        yield pool[begin : begin + size]


async def fill(
    client: Client, key: Callable[[int], Key], count: int, size: int, note: Callable[[int], None] = lambda _: None
) -> None:
    """Inserts values of `size` bytes under the keys of 0..count, which must ascend; `note` is told how many are in."""
    values = noise(size)
    for begin in range(0, count, _SLICE_RECORDS):
        end = min(count, begin + _SLICE_RECORDS)
        await _insert(client, [(key(number), next(values)) for number in range(begin, end)])
        note(end)


async def _insert(client: Client, records: list[tuple[Key, bytes]]) -> None:
    """Again, when it is not known what became of it: nobody else writes here."""
    for _ in range(_TRIES - 1):
        try:
            await insert_sorted(client, records)
        except WriteAmbiguous:
            continue
        return
    await insert_sorted(client, records)
