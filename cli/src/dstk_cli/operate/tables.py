"""Tables for people, on terminals of any width."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table

WIDE = 10_000


class FittingTable(Table):
    """Omits the least important columns when a line has no room for all, and says so, instead of breaking names in pieces.

    `spare`: titles of the columns that can be omitted, the least important one first.
    """

    def __init__(self, spare: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.spare = tuple(spare)

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
        return Measurement.get(console, options.update_width(WIDE), self).maximum


def table(*titles: str, spare: Sequence[str] = ()) -> FittingTable:
    """Makes an empty table. A title that begins with > aligns its column to the right. `spare`: see FittingTable."""
    made = FittingTable(spare, box=None, header_style="bold", pad_edge=False)
    for title in titles:
        made.add_column(title.lstrip(">"), justify="right" if title.startswith(">") else "left", overflow="fold")
    return made
