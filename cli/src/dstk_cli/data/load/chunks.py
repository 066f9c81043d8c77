"""Bounded pieces of a source, each sorted by key: the unit in which a load makes progress."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from dstk_cli.data.load.recipe import Recipe
from dstk_cli.data.load.source import BadLineError, Lines, Position, Row
from dstk_keytypes import Key

CHUNK_RECORDS = 40_000
CHUNK_BYTES = 32 << 20


@dataclass(slots=True)
class Chunk:
    """Records sorted by key, each key once (the later line wins). `position` is where the source stands behind it."""

    position: Position
    records: list[tuple[Key, bytes]] = field(default_factory=list)
    rows: int = 0
    bad: list[BadLineError] = field(default_factory=list)
    stopped_by: BadLineError | None = None


def chunks(lines: Lines, rows: Iterator[Row | BadLineError], recipe: Recipe, *, skip_bad: bool) -> Iterator[Chunk]:
    """Pieces of at most 40,000 records and about 32 MiB. Without `skip_bad` the piece before a bad line is the last.

    Its position is then in front of the bad line, so that a load can go on once the line is put right.
    """
    chunk, content, size = Chunk(lines.position), dict[Key, bytes](), 0
    for row in rows:
        try:
            key, value = _record(row, recipe)
        except BadLineError as error:
            if not skip_bad:
                chunk.stopped_by = error
                break
            chunk.bad.append(error)
        else:
            content[key] = value
            chunk.rows += 1
            size += len(key) + len(value)
        chunk.position = lines.position
        if chunk.rows >= CHUNK_RECORDS or size >= CHUNK_BYTES or len(chunk.bad) >= CHUNK_RECORDS:
            yield _sorted(chunk, content)
            chunk, content, size = Chunk(lines.position), {}, 0
    if chunk.stopped_by is None:
        chunk.position = lines.position
    yield _sorted(chunk, content)


def _record(row: Row | BadLineError, recipe: Recipe) -> tuple[Key, bytes]:
    if isinstance(row, BadLineError):
        raise row
    return recipe.record(row)


def _sorted(chunk: Chunk, content: dict[Key, bytes]) -> Chunk:
    chunk.records = sorted(content.items())
    return chunk
