"""Records as lines of a table. Keys and etags are never cut; the value gets the remaining width."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from rich.cells import cell_len
from rich.text import Text

from dstk_cli.data import values
from dstk_client import Record

GAP = 2
LEAST_VALUE = 8
"""Minimum width of a value, in terminal cells."""


@dataclass(frozen=True, slots=True)
class Row:
    """The text of a record in a table, with at most 1 KiB of its value. `value` None: the column is not shown."""

    key: str
    value: str | None
    etag: str

    @classmethod
    def of(cls, record: Record, *, keys_only: bool) -> Self:
        """The row of a record."""
        shown = None if keys_only else values.short(record.value)
        return cls(record.key.display(), shown, str(record.etag))


HEADER = Row("key", "value", "etag")


def lines(rows: Sequence[Row], width: int, *, keys_only: bool) -> list[Text]:
    """The header and one line per row. A line is wider than `width` cells only if its key leaves no room."""
    header = Row(HEADER.key, None, HEADER.etag) if keys_only else HEADER
    everything = [header, *rows]
    etags = max(len(row.etag) for row in everything)
    room = max(width - etags - GAP, LEAST_VALUE)
    longest = max(cell_len(row.key) for row in everything)
    keys = longest if keys_only else min(longest, max(room // 2, room - GAP - _widest_value(everything)))
    room = min(room, max(max(keys, cell_len(row.key)) + GAP + cell_len(row.value or "") for row in everything))
    styles = ["bold", *[""] * len(rows)]
    return [Text(_line(row, keys, room, etags), style) for row, style in zip(everything, styles, strict=True)]


def _widest_value(rows: Sequence[Row]) -> int:
    return max(cell_len(row.value or "") for row in rows)


def _line(row: Row, keys: int, room: int, etags: int) -> str:
    key = row.key + " " * (keys - cell_len(row.key))
    if row.value is None:
        return f"{key}{' ' * GAP}{row.etag:>{etags}}"
    left = max(room - cell_len(key) - GAP, LEAST_VALUE)
    value = values.fitted(row.value, left)
    padding = " " * (left - cell_len(value))
    return f"{key}{' ' * GAP}{value}{padding}{' ' * GAP}{row.etag:>{etags}}"
