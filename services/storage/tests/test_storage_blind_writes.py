"""How well a sample of blind writes tells what all of them have done."""

import random
from collections.abc import Callable, Iterator
from itertools import islice
from statistics import mean, pstdev

import pytest

from dstk_storage.domain.blind_writes import SAMPLE, BlindWrites

Stream = Callable[[random.Random], Iterator[int | None]]
"""Writes without end: bytes of the record that each replaces; None: it adds one."""


def mixed(new: float, sizes: Callable[[random.Random], int]) -> Stream:
    """So large a share of the writes adds records."""

    def stream(rng: random.Random) -> Iterator[int | None]:
        while True:
            yield None if rng.random() < new else sizes(rng)

    return stream


def repeated(*pattern: int | None) -> Stream:
    def stream(_: random.Random) -> Iterator[int | None]:
        while True:
            yield from pattern

    return stream


def filling(rng: random.Random) -> Iterator[int | None]:
    """Random keys of so many: at first nearly all are new, at last none."""
    seen = set[int]()
    while True:
        key = rng.randrange(5000)
        yield 100 if key in seen else None
        seen.add(key)


STREAMS: dict[str, Stream] = {
    "half are new": mixed(0.5, lambda _: 100),
    "few are new": mixed(0.02, lambda _: 100),
    "few are old": mixed(0.98, lambda _: 100),
    "very few are old": mixed(0.998, lambda _: 100),
    "sizes differ by a hundred": mixed(0.5, lambda rng: rng.choice([10, 1000])),
    "sizes are skewed": mixed(0.3, lambda rng: min(100_000, int(rng.paretovariate(1.2) * 50))),
    "every second": repeated(None, 100),
    "as long as a block": repeated(None, *[100] * (SAMPLE - 1)),
    "long runs": repeated(*[None] * 200, *[100] * 200),
    "a table that fills": filling,
}


def sizes_of(stream: Stream) -> tuple[float, float]:
    """Mean and standard deviation of the sizes of records, as a count has found them."""
    sizes = [size for size in islice(stream(random.Random(7)), 20_000) if size]
    return mean(sizes), pstdev(sizes)


def written(stream: Stream, seed: int, count: int) -> tuple[BlindWrites, int, int]:
    """What the sample says, how many records the writes have added, and how many bytes they have replaced."""
    blind, writes = BlindWrites(_random=seed * 7919 + 1), stream(random.Random(seed))
    added = replaced = 0
    for _ in range(count):
        write = next(writes)
        blind.count += 1
        if blind.count >= blind.next:
            blind.sample(write)
        added += write is None
        replaced += write or 0
    return blind, added, replaced


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("count", [5, 100, 1000, 5000])
def test_the_truth_is_within_the_bounds_in_99_of_100_cases(name: str, count: int) -> None:
    missed, missed_bytes, sizes = 0, 0, sizes_of(STREAMS[name])
    for seed in range(500):
        blind, added, replaced = written(STREAMS[name], seed, count)
        missed += abs(blind.records - added) > blind.records_error
        missed_bytes += abs(blind.bytes + replaced) > blind.bytes_error(*sizes)
    assert missed <= 5
    assert missed_bytes <= 5


@pytest.mark.parametrize("name", STREAMS)
def test_estimates_are_right_on_average(name: str) -> None:
    made = [written(STREAMS[name], seed, 2000) for seed in range(300)]
    assert sum(blind.records for blind, *_ in made) == pytest.approx(
        sum(added for _, added, _ in made), rel=0.02, abs=300 * 1.1 * SAMPLE
    )


def test_writes_that_are_all_alike_are_counted_exactly() -> None:
    blind, added, _ = written(mixed(1.0, lambda _: 1), 1, 1000)
    assert blind.records == added == 1000
    blind, added, replaced = written(mixed(0.0, lambda _: 7), 1, 1000)
    assert (blind.records, -blind.bytes) == (added, replaced) == (0, 7000)


def test_bounds_are_of_use() -> None:
    blind, *_ = written(mixed(0.5, lambda _: 100), 1, 100_000)
    assert blind.records_error < 2500
    blind, *_ = written(mixed(1.0, lambda _: 100), 1, 100_000)
    assert blind.records_error < 100


def test_what_a_count_has_found_is_forgotten() -> None:
    stream, rng = mixed(0.5, lambda _: 100), random.Random(5)
    blind, _, _ = written(stream, 3, 1000)
    counted = blind.copy()
    writes, added = stream(rng), 0
    for _ in range(777):
        write = next(writes)
        blind.count += 1
        if blind.count >= blind.next:
            blind.sample(write)
        added += write is None
    blind.forget(counted)
    assert blind.count == 777
    assert blind.next > blind.count
    assert abs(blind.records - added) <= blind.records_error < 777
