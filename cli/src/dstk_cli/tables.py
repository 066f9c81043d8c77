"""Tables for people, on terminals of any width."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table

T = TypeVar("T")

WIDE = 10_000
PROSE_WIDTH = 20
"""The width below which a column of prose becomes hard to read."""


class FittingTable(Table):
    """Omits the least important columns when a line has no room for all, and says so, instead of breaking names in pieces.

    `spare`: titles of the columns that can be omitted, the least important one first. `prose`: title of a column that wraps
    between words; it takes what the others leave, and no other column wraps.
    """

    def __init__(self, spare: Sequence[str] = (), prose: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.spare, self.prose = tuple(spare), prose

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Renders the columns that fit."""
        everything, left_out = self.columns, list[str]()
        try:
            for title in self.spare:
                if self._width(console, options) <= options.max_width:
                    break
                left_out.append(title)
                kept = (column for column in self.columns if column.header != title)
                self.columns = [replace(column, _index=index) for index, column in enumerate(kept)]
            yield from super().__rich_console__(console, options)
        finally:
            self.columns = everything
        if left_out:
            yield f"[dim]no room for {', '.join(sorted(left_out))}: use a wider terminal, or --output json[/]"

    def _width(self, console: Console, options: ConsoleOptions) -> int:
        """The width of all columns, with prose at its narrowest."""
        wide = options.update_width(WIDE)
        cells = (cell for column in self.columns if column.header == self.prose for cell in column.cells)
        longest = max((Measurement.get(console, wide, cell).maximum for cell in cells), default=0)
        return Measurement.get(console, wide, self).maximum - max(0, longest - PROSE_WIDTH)


Columns = Mapping[str, Callable[[T], str]]
"""The columns of a table by title, as `table` takes it, each with the function that makes its cell of a row, as Rich markup."""


def listing(columns: Columns[T], rows: Iterable[T], *, spare: Sequence[str] = (), prose: str = "") -> FittingTable:
    """Makes a table with a line for each row. `spare`, `prose`: see FittingTable."""
    made = table(*columns, spare=spare, prose=prose)
    for row in rows:
        made.add_row(*(cell(row) for cell in columns.values()))
    return made


def table(*titles: str, spare: Sequence[str] = (), prose: str = "") -> FittingTable:
    """Makes an empty table. A title that begins with > aligns its column to the right. `spare`, `prose`: see FittingTable."""
    made = FittingTable(spare, prose, box=None, header_style="bold", pad_edge=False)
    for title in titles:
        justify: Literal["right", "left"] = "right" if title.startswith(">") else "left"
        name = title.lstrip(">")
        made.add_column(name, justify=justify, overflow="fold", no_wrap=bool(prose) and name != prose)
    return made
