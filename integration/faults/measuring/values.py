"""Fills partitions with incompressible values."""

import random
from collections.abc import Callable, Iterator

from dstk_client import Client
from dstk_keytypes import Key

_POOL_BYTES = 4 << 20


def noise(size: int, seed: int = 1) -> Iterator[bytes]:
    """Yields values without end, each a slice of one random pool, which is cheap; LevelDB compresses a few KiB at a time."""
    rng = random.Random(seed)
    pool = rng.randbytes(_POOL_BYTES + size)
    while True:
        begin = rng.randrange(_POOL_BYTES)
        yield pool[begin : begin + size]


async def fill(
    client: Client, key: Callable[[int], Key], count: int, size: int, note: Callable[[int], None] = lambda _: None
) -> None:
    """Inserts values of `size` bytes under the keys of 0..count, which must ascend.

    Calls `note` with the number of records that are on disk. No other caller may write these keys.
    """
    values, done = noise(size), 0

    def acknowledged(records: int) -> None:
        nonlocal done
        done += records
        note(done)

    records = ((key(number), next(values)) for number in range(count))
    await client.insert_sorted(records, repeat_ambiguous=True, progress=acknowledged)
