"""Cuts a source into bounded chunks, each sorted by key. A load makes progress in chunks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dstk_formats.lines import Lines, LongLine, Position
from dstk_formats.recipe import Made
from dstk_formats.source import BadLineError, Row
from dstk_keytypes import Key

CHUNK_RECORDS = 40_000
CHUNK_BYTES = 32 << 20

Make = Callable[[Row], Made | None]
"""Makes the record of a row; None if the record has expired. Raises BadLineError."""


@dataclass(slots=True)
class Chunk:
    """Records sorted by key, each key once (the later line wins), and the position of the source behind them.

    The records are triples with an expiry in Unix milliseconds (0: never) if one of them has an expiry of its own, else pairs.
    """

    position: Position = field(default_factory=Position)
    records: list[tuple[Key, bytes]] | list[tuple[Key, bytes, int]] = field(default_factory=list)
    rows: int = 0
    expired: int = 0
    bad: list[BadLineError] = field(default_factory=list)
    stopped_by: BadLineError | None = None


def chunks(lines: Lines, rows: Iterator[Row | BadLineError], make: Make, *, skip_bad: bool) -> Iterator[Chunk]:
    """Chunks of at most 40,000 records and about 32 MiB. Without `skip_bad` the chunk before a bad record is the last.

    Its position is then that of the bad record, so that a load can resume there once the record is corrected.
    """
    gathering, mark = _Gathering(), lines.mark
    for row in rows:
        try:
            gathering.add(_made(row, make))
        except BadLineError as error:
            if not skip_bad:
                yield gathering.done(mark, stopped_by=error)
                return
            gathering.add_bad(error)
        mark = lines.mark
        if gathering.is_full:
            yield gathering.done(mark)
            gathering = _Gathering()
    yield gathering.done(lines.mark)


class _Gathering:
    """A chunk that is being filled."""

    def __init__(self) -> None:
        self.chunk = Chunk()
        self._content: dict[Key, bytes] = {}
        self._expiries: dict[Key, int] = {}
        self._size = 0

    @property
    def is_full(self) -> bool:
        chunk = self.chunk
        return chunk.rows + chunk.expired + len(chunk.bad) >= CHUNK_RECORDS or self._size >= CHUNK_BYTES

    def add(self, made: Made | None) -> None:
        if made is None:
            self.chunk.expired += 1
            return
        key, value, expires_at_ms = made
        self._content[key] = value
        if expires_at_ms:
            self._expiries[key] = expires_at_ms
        elif self._expiries:
            self._expiries.pop(key, None)
        self.chunk.rows += 1
        self._size += len(key) + len(value)

    def add_bad(self, error: BadLineError) -> None:
        self.chunk.bad.append(error)
        self._size += CHUNK_BYTES if isinstance(error.text, LongLine) else len(error.text)

    def done(self, mark: tuple[int, int, int], stopped_by: BadLineError | None = None) -> Chunk:
        self.chunk.position, self.chunk.stopped_by = Position(*mark), stopped_by
        pairs = sorted(self._content.items())
        expiry = self._expiries.get
        self.chunk.records = [(key, value, expiry(key, 0)) for key, value in pairs] if self._expiries else pairs
        return self.chunk


def _made(row: Row | BadLineError, make: Make) -> Made | None:
    if isinstance(row, BadLineError):
        raise row
    return make(row)
