"""How exact samples of a range are, on real LevelDB, and how little they read."""

import random
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from dstk_storage.adapters.leveldb import LevelDBEngine, LevelDBOptions
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.measuring.contents import STEP_RECORDS
from dstk_storage.domain.measuring.halving import halve
from dstk_storage.domain.measuring.sampler import CUTS, Sampler
from dstk_storage.domain.measuring.sizes import Sizes
from dstk_storage.domain.measuring.table import Table, tabulate
from dstk_storage.ports import Engine

NOW = 1_000_000
RECORDS = 150_000
REGIONS = [20, 2000, 100, 20, 500, 1000, 20, 200, 2000, 50]
"""Bytes of the values in each tenth of the keys."""


class Truth(NamedTuple):
    """An engine, and the live records that it has: keys, and sums of their bytes in front of each."""

    engine: Engine
    keys: list[bytes]
    below: list[int]

    def between(self, start: bytes, end: bytes) -> tuple[int, int]:
        low, high = bisect_left(self.keys, start), bisect_left(self.keys, end)
        return high - low, self.below[high] - self.below[low]


def key(number: int) -> bytes:
    return b"user:%08d" % number


def skewed(number: int, rng: random.Random) -> bytes:
    """A value that is up to 100 times larger than others; in every third region it compresses well."""
    region = number * len(REGIONS) // RECORDS
    size = int(REGIONS[region] * rng.uniform(0.5, 1.5))
    return rng.randbytes(size) if region % 3 else (b"%d" % number * size)[:size]


def churned(rng: random.Random) -> Iterator[tuple[int, bytes | None, int]]:
    """Records in random order, some of which are written again, deleted or expire."""
    order = rng.sample(range(RECORDS), RECORDS)
    yield from ((number, skewed(number, rng), 0) for number in order)
    yield from ((number, skewed(number, rng), 0) for number in range(RECORDS // 10, RECORDS // 4))
    yield from ((number, None, 0) for number in range(RECORDS // 2, RECORDS * 6 // 10))
    yield from (
        (number, skewed(number, rng), NOW - number % 2) for number in range(RECORDS * 7 // 10, RECORDS * 8 // 10)
    )
    yield from ((number, None, 0) for number in range(RECORDS * 8 // 10, RECORDS * 9 // 10) if number % 3)


def uniform(rng: random.Random) -> Iterator[tuple[int, bytes | None, int]]:
    yield from ((number, rng.randbytes(120), 0) for number in range(RECORDS))


def truth_of(engine: Engine, changes: Iterator[tuple[int, bytes | None, int]]) -> Truth:
    live: dict[bytes, int] = {}
    batch = engine.batch()
    for count, (number, value, expires) in enumerate(changes, 1):
        name = key(number)
        live.pop(name, None)
        if value is None:
            batch.delete(layout.DATA + name)
        else:
            batch.put(layout.DATA + name, layout.encode_record(value, 1, NOW, expires))
            if not expires or expires > NOW - 1:
                live[name] = len(name) + len(value)
        if not count % 2000:
            engine.write(batch)
            batch = engine.batch()
    engine.write(batch)
    engine.flush()
    return Truth(engine, sorted(live), [0, *accumulate(live[name] for name in sorted(live))])


@pytest.fixture(scope="module", params=[uniform, churned])
def truth(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Truth]:
    engine = LevelDBEngine.make(tmp_path_factory.mktemp("measuring") / "leveldb", LevelDBOptions(), {})
    yield truth_of(engine, request.param(random.Random(1)))
    engine.close()


def measured(engine: Engine, start: bytes, end: bytes, buckets: int = 4, seed: int = 1) -> tuple[Table, Sampler]:
    bounds = layout.DATA + start, layout.DATA + end
    sampler = Sampler(engine, bounds, buckets, NOW - 1, random.Random(seed))
    for _ in sampler.steps():
        pass
    return tabulate(sampler.strata, buckets), sampler


def sums(table: Table) -> tuple[float, float]:
    return sum(each.records for each in table.amounts), sum(each.bytes for each in table.amounts)


@pytest.mark.slow
def test_random_ranges_are_within_a_tenth_and_within_their_bounds(truth: Truth) -> None:
    rng = random.Random(2)
    outside, count = 0, 25
    for seed in range(count):
        length = rng.randrange(10_000, len(truth.keys))
        first = rng.randrange(len(truth.keys) - length)
        start, end = truth.keys[first], truth.keys[first + length]
        table, _ = measured(truth.engine, start, end, seed=seed)
        (records, size), (true_records, true_size) = sums(table), truth.between(start, end)
        assert abs(records - true_records) < true_records / 10, (start, end, seed)
        assert abs(size - true_size) < true_size / 10, (start, end, seed)
        outside += abs(records - true_records) > table.error.records + 0.5
        outside += abs(size - true_size) > table.error.bytes + 0.5
    assert outside <= 1


def test_small_ranges_are_counted_exactly(truth: Truth) -> None:
    rng = random.Random(3)
    for length in (0, 1, 2, 100, 3000):
        first = rng.randrange(len(truth.keys) - length)
        start, end = truth.keys[first], truth.keys[first + length]
        table, sampler = measured(truth.engine, start, end)
        assert sums(table) == truth.between(start, end)
        assert table.error == (0, 0)
        assert sampler.examined >= length


@pytest.mark.slow
@pytest.mark.parametrize("buckets", [16, 300])
def test_buckets_are_about_equally_large(truth: Truth, buckets: int) -> None:
    table, _ = measured(truth.engine, b"", b"v", buckets)
    assert buckets / 2 <= len(table.amounts) <= buckets
    bounds = [b"", *(border.removeprefix(layout.DATA) for border in table.borders), b"v"]
    assert bounds == sorted(set(bounds))
    records, size = truth.between(b"", b"v")
    for start, end in pairwise(bounds):
        part, of_bytes = truth.between(start, end)
        share = part / records + of_bytes / size
        assert 0.4 < share * buckets / 2 < 2


@pytest.mark.slow
def test_no_step_reads_much(truth: Truth) -> None:
    sampler = Sampler(truth.engine, (layout.DATA, layout.DATA_END), 16, NOW, random.Random(1))
    before = 0
    for _ in sampler.steps():
        assert sampler.examined - before <= STEP_RECORDS * CUTS / 4
        before = sampler.examined
    assert sampler.examined < RECORDS * 1.2


@pytest.mark.parametrize("prefix", [b"", b"x" * 900, b"\xff" * 40])
def test_halves_are_found_however_long_keys_agree(prefix: bytes, tmp_path: Path) -> None:
    engine = LevelDBEngine.make(tmp_path / "leveldb", LevelDBOptions(), {})
    batch, rng = engine.batch(), random.Random(1)
    for number in range(2000):
        batch.put(layout.DATA + b"a%d" % number, b"")
        batch.put(layout.DATA + b"b" + prefix + b"%08d" % number, rng.randbytes(500))
    engine.write(batch)
    engine.flush()
    sizes = Sizes(engine)
    whole = sizes.sized(layout.DATA, layout.DATA_END)
    halves = halve(sizes, whole)
    assert halves is not None
    lower, upper = halves
    assert lower.end == upper.start
    assert lower.size + upper.size == whole.size
    assert min(lower.size, upper.size) * 4 >= whole.size
    assert len(lower.end) <= 1025
    engine.close()


def test_one_large_record_is_not_cut() -> None:
    engine = MemoryEngine()
    batch = engine.batch()
    batch.put(layout.DATA + b"a", b"v" * 1000)
    engine.write(batch)
    sizes = Sizes(engine)
    assert halve(sizes, sizes.sized(layout.DATA, layout.DATA_END)) is None
