"""Reads a stretch of engine keys whole, in steps."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from dstk_storage.domain import layout
from dstk_storage.ports import Engine

STEP_RECORDS, STEP_BYTES = 5_000, 4 << 20
"""What one step looks at: about 5 ms."""


class Amount(NamedTuple):
    """Live records, and the bytes of their keys and values."""

    records: float
    bytes: float


class Chunk(NamedTuple):
    """What lies from an engine key up to the next chunk."""

    start: bytes
    amount: Amount


@dataclass(slots=True)
class Grain:
    """How large a chunk grows: until its bytes, and `record_bytes` for each record, are `weight` together."""

    weight: float = 0.0
    record_bytes: float = 0.0


@dataclass(slots=True)
class Tally:
    """What was looked at so far: all records, and the bytes of the live ones."""

    records: int = 0
    bytes: int = 0


class Reader:
    """Reads live records of an engine as of `now_ms`. `examined` counts everything that it reads."""

    def __init__(self, engine: Engine, now_ms: int) -> None:
        self._engine, self._now_ms = engine, now_ms
        self.examined = Tally()

    def chunks(self, start: bytes, end: bytes, grain: Grain) -> Generator[None, None, list[Chunk]]:
        """All records, in chunks, the first of which begins at `start`. Blocks at each step; raises EngineError."""
        chunks: list[Chunk] = []
        for step in self.steps(start, end, grain):
            chunks += step
            yield
        return chunks

    def steps(self, start: bytes, end: bytes, grain: Grain) -> Iterator[list[Chunk]]:
        """As `chunks`, those of each step."""
        resume: bytes | None = start
        while resume is not None:
            chunks, resume = self._step(resume, end, grain)
            yield chunks

    def _step(self, start: bytes, end: bytes, grain: Grain) -> tuple[list[Chunk], bytes | None]:
        """Chunks of one step, and the first key behind them. A plain loop: 0.2 µs a record."""
        chunks: list[Chunk] = []
        now_ms, weight = self._now_ms, grain.weight
        records = size = looked = room = 0
        with self._engine.iterate(start, end, fill_cache=False) as pairs:
            for key, raw in islice(pairs, STEP_RECORDS):
                looked += 1
                if records and size + records * grain.record_bytes >= weight:
                    chunks.append(Chunk(start, Amount(records, size)))
                    start, records, size = key, 0, 0
                if raw[1] and layout.expires_at(raw) <= now_ms:
                    continue
                records += 1
                grown = len(key) - 1 + len(raw) - (layout.HEADER_EXPIRES_BYTES if raw[1] else layout.HEADER_BYTES)
                size += grown
                room += grown
                if room >= STEP_BYTES:
                    break
            following = next(pairs, None)
        chunks.append(Chunk(start, Amount(records, size)))
        self.examined.records += looked
        self.examined.bytes += room
        return chunks, None if following is None else following[0]


def total(chunks: list[Chunk]) -> Amount:
    """The sum of all."""
    return Amount(sum(chunk.amount.records for chunk in chunks), sum(chunk.amount.bytes for chunk in chunks))


def coarser(chunks: list[Chunk]) -> list[Chunk]:
    """Half as many: each two that are neighbours become one."""
    pairs = (chunks[at : at + 2] for at in range(0, len(chunks), 2))
    return [Chunk(pair[0].start, total(pair)) for pair in pairs]
