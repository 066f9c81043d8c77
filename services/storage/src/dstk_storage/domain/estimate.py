"""How many live records a partition holds and how many bytes of keys and values, and by how much that may be wrong."""

from dataclasses import dataclass, field
from math import ceil, sqrt
from typing import Final, NamedTuple

from dstk_storage.domain.blind_writes import BlindWrites

FEWEST: Final = 1000
"""Blind writes after which the smallest partition is counted again."""

VAGUE: Final = 0.01
"""The share of the records by which an estimate may be wrong."""


class Size(NamedTuple):
    """Live records and their bytes, and by how much each may be wrong in 99 of 100 cases."""

    records: int
    records_error: int
    bytes: int
    bytes_error: int


class Counted(NamedTuple):
    """What a count has found: records and the bytes of their keys and values, and how much of that had expired."""

    records: int = 0
    bytes: int = 0
    expired: int = 0
    expired_bytes: int = 0
    squares: int = 0
    """The sum of the squares of the records' bytes."""

    @property
    def deviation(self) -> float:
        """The standard deviation of the records' bytes."""
        return sqrt(max(0.0, self.squares / self.records - (self.bytes / self.records) ** 2)) if self.records else 0.0

    def plus(self, other: "Counted") -> "Counted":
        """Both together."""
        return Counted(*(one + two for one, two in zip(self, other, strict=True)))


class Mark(NamedTuple):
    """An estimate at the moment in which a count began."""

    records: float
    bytes: float
    blind: BlindWrites
    doubt: float
    doubt_bytes: float
    reaped: int
    reaped_bytes: int


@dataclass(slots=True)
class Unreaped:
    """Records that have expired and are still there, as the reaper knows (expiry.py)."""

    known: int = 0
    """A count has met so many that the reaper has not removed yet."""
    known_bytes: int = 0
    per_ms: float = 0.0
    """How many expire in a millisecond."""
    since_ms: int = 0
    """What had expired by then is removed."""
    behind: bool = False
    """The reaper has more to remove than it could: it is not known how much."""

    def pace(self, per_ms: float, since_ms: int, *, behind: bool) -> None:
        """The reaper has removed what had expired by `since_ms`."""
        self.per_ms, self.since_ms, self.behind = per_ms, since_ms, behind

    def later(self, now_ms: int) -> float:
        """How many there are beside those that are known, roughly."""
        return self.per_ms * max(0, now_ms - self.since_ms)


@dataclass(slots=True)
class Estimate:
    """Exact after a count. Writes that look up their key keep it exact; of blind ones a sample is looked up (blind_writes.py).

    `records` and `bytes` are what is on disk or on its way there, expired records that are not removed yet included: only so do
    the removals of the reaper, and writes over expired records, come out even. `size` is without what has expired.
    """

    exact_records: float = 0.0
    exact_bytes: float = 0.0
    """What is known without the blind writes."""
    counted: bool = False
    """It rests on a count of this process."""
    is_due: bool = False
    """A count is due whatever was written."""
    blind: BlindWrites = field(default_factory=BlindWrites)
    doubt: float = 0.0
    """By how many records it may be wrong beside the blind writes: writes that failed, or that came from another node."""
    doubt_bytes: float = 0.0
    deviation: float = 0.0
    """The standard deviation of the records' bytes, as the last count has found it."""
    unreaped: Unreaped = field(default_factory=Unreaped)
    reaped: int = 0
    """How many records the reaper has removed."""
    reaped_bytes: int = 0
    left_at: int | None = None
    """The last sequence number when this node ceased to lead the partition; None: it leads it, or never did."""

    @property
    def records(self) -> float:
        """Records that are there."""
        return max(0.0, self.exact_records + self.blind.records)

    @property
    def bytes(self) -> float:
        """Bytes of their keys and values."""
        return max(0.0, self.exact_bytes + self.blind.bytes)

    @property
    def is_stale(self) -> bool:
        """Whether it must be counted again: it was never counted, or it is vague, and so many blind writes were made that a
        count costs them half a read each.
        """
        if self.is_due or not self.counted or self.doubt > self.records * VAGUE:
            return True
        return self.blind.count > FEWEST + 2 * self.records and self.is_vague

    @property
    def is_vague(self) -> bool:
        """Whether it may be wrong by more than VAGUE."""
        return self.blind.records_error + self.doubt > self.records * VAGUE

    def changed(self, records: int, size: int) -> None:
        """Adds records (negative: removed) of `size` bytes in total: a write has looked."""
        self.exact_records += records
        self.exact_bytes += size

    def put(self, replaced: int | None, size: int) -> None:
        """A write of `size` bytes has looked: it replaces a record of so many bytes; None: it adds one."""
        self.changed(int(replaced is None), size - (replaced or 0))

    def reap(self, size: int) -> None:
        """The reaper removes a record of so many bytes."""
        self.changed(-1, -size)
        self.reaped, self.reaped_bytes = self.reaped + 1, self.reaped_bytes + size
        unreaped = self.unreaped
        unreaped.known, unreaped.known_bytes = max(0, unreaped.known - 1), max(0, unreaped.known_bytes - size)

    def doubt_writes(self, count: int) -> None:
        """So many writes count here and may be lost, or the other way round."""
        self.doubt += count
        self.doubt_bytes += count * max(self._usual + 4 * self.deviation, self.blind.largest)

    def left(self, last: int) -> None:
        """This node ceases to lead the partition, whose last write has this number."""
        self.left_at = last

    def catch_up(self, last: int) -> None:
        """What others have written up to this number, while they led the partition, did not count here."""
        if self.left_at is not None:
            self.doubt_writes(abs(last - self.left_at))
            self.left_at = last

    def taken_over(self, last: int) -> None:
        """This node leads the partition from now on."""
        self.catch_up(last)
        self.left_at = None

    def unknown(self) -> None:
        """The records are others now: they have to be counted."""
        self.counted = False

    def mark(self) -> Mark:
        """To be called in the moment in which a count begins."""
        blind = self.blind.copy()
        exact = self.exact_records, self.exact_bytes
        return Mark(*exact, blind, self.doubt, self.doubt_bytes, self.reaped, self.reaped_bytes)

    def recounted(self, found: Counted, mark: Mark, doubtful: int) -> None:
        """Takes over a count of what was there at the mark, but for `doubtful` writes that may have been on disk or not."""
        self.exact_records += found.records - mark.records
        self.exact_bytes += found.bytes - mark.bytes
        self.blind.forget(mark.blind)
        self.doubt, self.doubt_bytes = self.doubt - mark.doubt, self.doubt_bytes - mark.doubt_bytes
        self.unreaped.known = max(0, found.expired - (self.reaped - mark.reaped))
        self.unreaped.known_bytes = max(0, found.expired_bytes - (self.reaped_bytes - mark.reaped_bytes))
        self.counted, self.is_due, self.deviation = True, False, found.deviation
        self.doubt_writes(doubtful)

    def size(self, now_ms: int) -> Size:
        """The live records at this moment."""
        unreaped, usual = self.unreaped, self._usual
        later = min(self.records, unreaped.later(now_ms))
        live = max(0.0, self.records - unreaped.known - later)
        live_bytes = max(0.0, self.bytes - unreaped.known_bytes - later * usual)
        error = self.blind.records_error + self.doubt + 3 * sqrt(later)
        bytes_error = self._blind_bytes_error + self.doubt_bytes + later * (usual + self.deviation)
        if unreaped.behind:
            error, bytes_error = max(error, self.records), max(bytes_error, self.bytes)
        return Size(round(live), ceil(error), round(live_bytes), ceil(bytes_error))

    def share(self, part: float) -> "Estimate":
        """The estimate of a part of the range, which holds about this share of it; 1: of all of it. How the records of a split
        partition are spread is not known before they are counted, only their sum.
        """
        unsure = max(part, 1 - part) if part < 1 else 0.0
        return Estimate(
            self.records * part,
            self.bytes * part,
            self.counted,
            part < 1 or self.is_due,
            doubt=self.records * unsure + (self.doubt + self.blind.records_error) * part,
            doubt_bytes=self.bytes * unsure + (self.doubt_bytes + self._blind_bytes_error) * part,
            deviation=self.deviation,
        )

    def joined(self, other: "Estimate") -> "Estimate":
        """The estimate of both ranges together, whose blind writes are doubts now."""
        return Estimate(
            self.records + other.records,
            self.bytes + other.bytes,
            self.counted and other.counted,
            self.is_due or other.is_due,
            doubt=self.doubt + other.doubt,
            doubt_bytes=self.doubt_bytes + other.doubt_bytes,
            deviation=max(self.deviation, other.deviation),
        )

    @property
    def _blind_bytes_error(self) -> float:
        return self.blind.bytes_error(self._usual, self.deviation)

    @property
    def _usual(self) -> float:
        """Bytes of a usual record."""
        records = self.records
        return self.bytes / records if records else 0.0
