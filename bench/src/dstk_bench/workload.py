"""The data of every system: the same keys and values, in the same order."""

import random
from collections.abc import Iterator, Sequence
from itertools import cycle

READ_PREFIX = b"bench/r/"
WRITE_PREFIX = b"bench/w/"
BULK_PREFIX = b"bench/x/"
CHUNK_RECORDS = 1000
_VALUE_POOL = 1024

Record = tuple[bytes, bytes]


def key(prefix: bytes, number: int) -> bytes:
    """A key of fixed width, so that keys sort as their numbers do."""
    return b"%b%012d" % (prefix, number)


class Workload:
    """Keys to read, keys to write, and sorted chunks that were not inserted before.

    Values are random bytes, which no compression makes smaller. Everything follows from the seed.
    """

    def __init__(self, records: int, value_bytes: int, seed: int = 1) -> None:
        rng = random.Random(seed)  # noqa: S311 - test data, no secrets
        self.values = [rng.randbytes(value_bytes) for _ in range(_VALUE_POOL)]
        self.read_keys = [key(READ_PREFIX, number) for number in range(records)]
        self.write_keys = [key(WRITE_PREFIX, number) for number in range(records)]
        self._shuffled = rng.sample(range(records), records)
        self._next_bulk = 0

    def stored(self) -> list[Record]:
        """The records that are loaded before the measurements, sorted."""
        return list(zip(self.read_keys, cycle(self.values), strict=False))

    def random_reads(self) -> list[bytes]:
        """The keys to read, in random order."""
        return [self.read_keys[number] for number in self._shuffled]

    def random_writes(self) -> list[Record]:
        """The records to write, in random order."""
        keys = (self.write_keys[number] for number in self._shuffled)
        return list(zip(keys, cycle(self.values), strict=False))

    def fresh_chunks(self, chunks: int) -> list[list[Record]]:
        """Sorted chunks of CHUNK_RECORDS records each, above every chunk handed out before."""
        first, self._next_bulk = self._next_bulk, self._next_bulk + chunks
        return [self._chunk(number * CHUNK_RECORDS) for number in range(first, self._next_bulk)]

    def _chunk(self, start: int) -> list[Record]:
        keys = (key(BULK_PREFIX, number) for number in range(start, start + CHUNK_RECORDS))
        return list(zip(keys, cycle(self.values), strict=False))


def split_keys(keys: Sequence[bytes], partitions: int) -> list[bytes]:
    """The keys that cut a key space into `partitions` partitions with about equally many of the given keys."""
    return [keys[number * len(keys) // partitions] for number in range(1, partitions)]


def pages(keys: Sequence[bytes], size: int) -> Iterator[tuple[bytes, bytes]]:
    """Consecutive half-open ranges with `size` of the sorted keys each; the last one may have fewer."""
    for start in range(0, len(keys), size):
        end = start + size
        yield keys[start], keys[end] if end < len(keys) else keys[-1] + b"\0"
