"""Finds out what a stretch of engine keys has: by reading it, when it is small, or else cells of it."""

import random
from collections.abc import Generator, Iterator, Sequence

from dstk_storage.domain.measuring.contents import Amount, Chunk, Grain, Reader, coarser, total
from dstk_storage.domain.measuring.cutting import to_cut
from dstk_storage.domain.measuring.halving import halve
from dstk_storage.domain.measuring.sizes import Sizes, Stretch
from dstk_storage.domain.measuring.strata import Cell, Stratum, estimated, summed
from dstk_storage.ports import Engine

WHOLE_SIZE = 8 << 20
"""Bytes on disk up to which it tries to read everything."""

WHOLE_RECORDS, WHOLE_BYTES = 100_000, 32 << 20
"""Where it gives that up, since what was written lately, or compresses well, shows in no size."""

CELL_BYTES = 32 << 10
"""Bytes of keys and values of a cell, about."""

FEW_CELLS = 2
"""What has no more cells is read whole."""

SMALLEST_CELL = 2 << 10
"""Bytes on disk: some blocks, for sizes are those of whole blocks."""

CUTS = 8
"""How many strata one step cuts: about 5 ms."""

CHUNKS = 1_024
"""What was read whole is kept in so many chunks at least, if it has as many records; and twice as many as there are
buckets.
"""


class Sampler:
    """Reads as much of the stretch as `buckets` need. `strata`: what it found, in order of keys, once `steps` has ended."""

    def __init__(
        self, engine: Engine, bounds: tuple[bytes, bytes], buckets: int, now_ms: int, rng: random.Random
    ) -> None:
        self._sizes, self._rng = Sizes(engine), rng
        self._bounds, self._buckets = bounds, buckets
        self._reader = Reader(engine, now_ms)
        self._cell_size = CELL_BYTES
        self._seen = Amount(0, 0)
        """Bytes on disk (as records) and of keys and values of all cells."""
        self.strata: Sequence[Stratum] = ()

    @property
    def examined(self) -> int:
        """How many records were read."""
        return self._reader.examined.records

    def steps(self) -> Iterator[None]:
        """Works for about 5 ms, up to 50, at each step. Blocks; raises EngineError."""
        yield from self._sizes.learn(*self._bounds)
        whole = self._sizes.sized(*self._bounds)
        if whole.size <= WHOLE_SIZE and (yield from self._read_whole(whole)):
            return
        self.strata = yield from self._sampled(whole)
        while cut := to_cut(self.strata, self._buckets, self._read()):
            self.strata = yield from self._cut(cut)

    def _read_whole(self, whole: Stretch) -> Generator[None, None, bool]:
        """Returns False when it is too much."""
        chunks: list[Chunk] = []
        most = max(CHUNKS, 2 * self._buckets)
        grain = Grain(whole.size / (2 * most))
        for step in self._reader.steps(whole.start, whole.end, grain):
            chunks += step
            if self._read().records > WHOLE_RECORDS or self._read().bytes > WHOLE_BYTES:
                return False
            while len(chunks) > 2 * most:
                chunks = coarser(chunks)
                grain.weight = 2 * total(chunks).bytes / len(chunks)
            yield
        self.strata = [Stratum(whole, total(chunks), chunks=chunks)]
        return True

    def _read(self) -> Amount:
        return Amount(self._reader.examined.records, self._reader.examined.bytes)

    def _cut(self, chosen: Sequence[int]) -> Generator[None, None, list[Stratum]]:
        """The strata, with those at the positions `chosen` cut in two."""
        cut: dict[int, Sequence[Stratum]] = {}
        for at, position in enumerate(chosen, 1):
            cut[position] = yield from self._halved(self.strata[position])
            if not at % CUTS:
                yield
        yield
        return [part for at, one in enumerate(self.strata) for part in cut.get(at, (one,))]

    def _halved(self, stratum: Stratum) -> Generator[None, None, Sequence[Stratum]]:
        """The two halves of a stratum, one of which keeps its cell; itself, read whole, when it is not to be cut."""
        now = self._sizes.sized(stratum.stretch.start, stratum.stretch.end)
        halves = halve(self._sizes, now) if now.size > FEW_CELLS * self._cell_size else None
        if halves is None:
            return [(yield from self._exact(now))]
        found = []
        for half in halves:
            kept = self._kept(stratum.cell, half)
            found.append(estimated(half, kept) if kept else (yield from self._stratum(half)))
        return found

    def _kept(self, cell: Cell | None, half: Stretch) -> Cell | None:
        """The cell, if it lies in the half. Its size is taken again: a compaction may have changed it."""
        if cell is None or not half.start <= cell.stretch.start < cell.stretch.end <= half.end:
            return None
        now = self._sizes.sized(cell.stretch.start, cell.stretch.end)
        return Cell(now, cell.amount) if now.size else None

    def _sampled(self, whole: Stretch) -> Generator[None, None, list[Stratum]]:
        return [(yield from self._stratum(whole))]

    def _stratum(self, stretch: Stretch) -> Generator[None, None, Stratum]:
        """The stretch by a cell of it. The cell is found by halving, again and again, one of the halves by the odds of their
        sizes.
        """
        inner = stretch
        if stretch.size <= FEW_CELLS * self._cell_size:
            return (yield from self._exact(stretch))
        while inner.size > self._cell_size and (halves := halve(self._sizes, inner)) is not None:
            lower, upper = halves
            inner = lower if self._rng.random() * inner.size < lower.size else upper
        if inner.start == stretch.start and inner.end == stretch.end:
            return (yield from self._exact(stretch))
        amount = total((yield from self._reader.chunks(inner.start, inner.end, self._grain())))
        self._learn(inner.size, amount.bytes)
        return estimated(stretch, Cell(inner, amount))

    def _exact(self, stretch: Stretch) -> Generator[None, None, Stratum]:
        chunks = yield from self._reader.chunks(stretch.start, stretch.end, self._grain())
        return Stratum(stretch, total(chunks), chunks=chunks)

    def _grain(self) -> Grain:
        """A quarter of a bucket, by what is known so far."""
        records, size = summed(self.strata)
        return Grain(size / self._buckets / 2, size / records if records else 0.0)

    def _learn(self, size: int, content: float) -> None:
        """Cells have as many bytes on disk as CELL_BYTES take there."""
        self._seen = Amount(self._seen.records + size, self._seen.bytes + content)
        ratio = self._seen.records / (self._seen.bytes or 1)
        self._cell_size = int(min(max(CELL_BYTES * ratio, SMALLEST_CELL), CELL_BYTES))
