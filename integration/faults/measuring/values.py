"""Values that no compression makes smaller."""

import random
from collections.abc import Iterator

_POOL_BYTES = 4 << 20


def noise(size: int, seed: int = 1) -> Iterator[bytes]:
    """Endlessly, each a piece of one pool, which costs next to nothing: tables compress a few kilobytes at a time."""
    chance = random.Random(seed)
    pool = chance.randbytes(_POOL_BYTES + size)
    while True:
        begin = chance.randrange(_POOL_BYTES)
        yield pool[begin : begin + size]
