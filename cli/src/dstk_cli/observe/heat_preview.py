"""The heat map in a terminal: two rows a line, by half blocks."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text

from dstk_cli.observe import heat_axes, quantities
from dstk_cli.observe.heat_colours import Colour, palette
from dstk_cli.observe.matrix import GAP, LEVELS, Matrix
from dstk_cli.observe.quantities import Figure

LABEL = 24
"""Cells of the column of keys."""
TIME_CELLS = 14
LINES_AROUND = 5
"""Title, times, legend, and the prompt below."""
MIN_LINES = 4


def room(width: int, height: int) -> tuple[int, int]:
    """How many columns and rows a terminal has room for."""
    return max(10, width - LABEL - 1), 2 * max(MIN_LINES, height - LINES_AROUND)


class HeatPreview:
    """The matrix as wide as the terminal, with keys on the left and times below."""

    def __init__(self, matrix: Matrix, figure: Figure) -> None:
        self._matrix, self._figure = matrix, figure
        self._colours = palette(LEVELS)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Renders the lines."""
        width, height = room(options.max_width, console.height)
        height = min(height, 2 * -(-len(self._matrix.rows) // 2)) if len(self._matrix.rows) > 1 else 2
        columns, rows = self._matrix.column_of_pixel(width), self._matrix.row_of_pixel(height)
        levels = self._matrix.levels()
        for at in range(0, height, 2):
            upper, lower = rows[at], rows[at + 1]
            text = Text(heat_axes.key_label(self._matrix.starts[upper], LABEL).rjust(LABEL) + " ", no_wrap=True)
            for column in columns:
                text.append(*self._cell(levels[upper][column], levels[lower][column]))
            yield text
        yield Text(" " * (LABEL + 1) + self._times(width), "dim", no_wrap=True)
        yield self._legend()

    def _cell(self, upper: int, lower: int) -> tuple[str, Style]:
        if upper == lower == GAP:
            return "░", Style(color=_hex(self._colours[GAP]))
        return "▀", Style(color=_hex(self._colours[upper]), bgcolor=_hex(self._colours[lower]))

    def _times(self, width: int) -> str:
        matrix, line = self._matrix, ""
        first, span = matrix.times_ms[0], matrix.until_ms - matrix.times_ms[0]
        for at_ms, text in heat_axes.time_ticks(first, matrix.until_ms, width // TIME_CELLS):
            place = round((at_ms - first) / span * width)
            if place >= len(line) and place + len(text) <= width:
                line = line.ljust(place) + text + " "
        return line

    def _legend(self) -> Text:
        text = Text(f"{quantities.shown(self._figure, 0)} ", "dim")
        for share in heat_axes.spaced(20):
            text.append("█", Style(color=_hex(self._colours[1 + round(share * (LEVELS - 1))])))
        text.append(f" {quantities.shown(self._figure, self._matrix.peak)}   ░ unknown", "dim")
        return text


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
