"""Pieces of a range: they cover it, are about as large as asked for, and do not cross partitions."""

from hypothesis import given
from hypothesis import strategies as st

from dstk_metrics.domain.buckets import Bucket, Range, Run, Table, Unit, amount, halved, replaced, summed
from dstk_metrics.domain.split_points import FINE, MOST_BUCKETS, Size, across, coarse, fewest, pieces, stretches

EVERYTHING: Range = (b"", b"")


def buckets_of(amounts: list[tuple[float, float]]) -> list[Bucket]:
    """Buckets that cover the key space."""
    keys = [b"", *(b"%04d" % number for number in range(1, len(amounts))), b""]
    return [Bucket(keys[at], keys[at + 1], each) for at, each in enumerate(amounts)]


SOME = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 10_000)), min_size=1, max_size=60).map(buckets_of)


@st.composite
def buckets_and_borders(draw: st.DrawFn) -> tuple[list[Bucket], list[bytes]]:
    buckets = draw(SOME)
    starts = [bucket.start for bucket in buckets[1:]]
    return buckets, sorted(draw(st.sets(st.sampled_from(starts)))) if starts else []


def is_cover(buckets: list[Bucket], of: Range) -> bool:
    ends = [bucket.end for bucket in buckets]
    return [bucket.start for bucket in buckets] == [of[0], *ends[:-1]] and ends[-1] == of[1]


@given(buckets_and_borders(), st.sampled_from(Unit), st.floats(1, 20_000))
def test_pieces_cover_the_range_and_end_at_every_border(
    given_buckets: tuple[list[Bucket], list[bytes]], unit: Unit, size: float
) -> None:
    buckets, borders = given_buckets
    made = pieces(buckets, borders, Size(unit, size))
    assert is_cover(made, EVERYTHING)
    assert all(piece.start != piece.end or not piece.end for piece in made)
    assert set(borders) <= {piece.start for piece in made}
    for each in Unit:
        assert abs(amount(made, each) - amount(buckets, each)) < 0.01
    assert len(made) <= fewest(buckets, borders, Size(unit, size)) + len(borders)


@given(buckets_and_borders(), st.sampled_from(Unit), st.floats(1, 20_000))
def test_pieces_are_half_to_twice_as_large_as_asked_for_where_buckets_are_fine(
    given_buckets: tuple[list[Bucket], list[bytes]], unit: Unit, size: float
) -> None:
    buckets, borders = given_buckets
    wanted = Size(unit, size)
    runs = coarse(buckets, borders, wanted)
    assert all(2 <= run.buckets <= MOST_BUCKETS for run in runs)
    for stretch in stretches(buckets, borders):
        whole = amount(stretch, unit)
        for piece in pieces(stretch, (), wanted):
            if all(bucket.amounts[unit] * FINE <= size for bucket in stretch) or whole <= 1.5 * size:
                assert piece.amounts[unit] <= 2 * size + 1e-6
                assert piece.amounts[unit] >= min(whole, size / 2) - 1e-6


@given(buckets_and_borders(), st.sampled_from(Unit), st.floats(1, 20_000))
def test_what_is_coarse_is_measured_again_and_nothing_else(
    given_buckets: tuple[list[Bucket], list[bytes]], unit: Unit, size: float
) -> None:
    buckets, borders = given_buckets
    runs = coarse(buckets, borders, Size(unit, size))
    measured = {bucket.start for run in runs for bucket in buckets if _is_in(bucket, run)}
    for stretch in stretches(buckets, borders):
        is_cut = amount(stretch, unit) > 1.5 * size
        assert {b.start for b in stretch if b.start in measured} == {
            b.start for b in stretch if is_cut and b.amounts[unit] * FINE > size
        }


def _is_in(bucket: Bucket, run: Run) -> bool:
    return run.start <= bucket.start and (not run.end or bucket.start < run.end)


@given(SOME, st.data())
def test_tables_take_the_place_of_the_buckets_in_their_range(buckets: list[Bucket], data: st.DataObject) -> None:
    low = data.draw(st.integers(0, len(buckets) - 1))
    high = data.draw(st.integers(low + 1, len(buckets)))
    first, last = buckets[low], buckets[high - 1]
    finer = Table(
        [Bucket(first.start, first.start + b"\0", (1, 1)), Bucket(first.start + b"\0", last.end, (2, 3))], (0, 0)
    )
    made = replaced(buckets, [finer])
    assert is_cover(made, EVERYTHING)
    assert made == [*buckets[:low], *finer.buckets, *buckets[high:]]


def test_a_bucket_across_a_border_is_halved_there() -> None:
    bucket = Bucket(b"a", b"m", (10, 100))
    assert across([bucket, Bucket(b"m", b"", (1, 1))], [b"a", b"f", b"g", b"m", b"x"]) == [
        (bucket, b"f"),
        (Bucket(b"m", b"", (1, 1)), b"x"),
    ]
    assert halved(bucket, b"f") == (Bucket(b"a", b"f", (5, 50)), Bucket(b"f", b"m", (5, 50)))


def test_errors_of_partitions_add_in_quadrature() -> None:
    tables = [Table([Bucket(b"a", b"b", (100, 1000))], (3, 0)), Table([Bucket(b"b", b"c", (50, 10))], (4, 0))]
    assert summed(tables, Unit.RECORDS) == (150, 145, 155)
    assert summed(tables, Unit.BYTES) == (1010, 1010, 1010)
    assert summed([Table([Bucket(b"a", b"b", (1, 1))], (9, 9))], Unit.RECORDS) == (1, 0, 10)
