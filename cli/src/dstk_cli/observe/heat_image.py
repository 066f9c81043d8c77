"""The heat map as a PNG. Pillow draws it: the one well-kept library for that which needs no other package."""

import io
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

from PIL import Image, ImageDraw, ImageFont

from dstk_cli.observe import heat_axes, quantities
from dstk_cli.observe.heat_colours import HATCH_COLOUR, palette
from dstk_cli.observe.matrix import GAP, LEVELS, Matrix
from dstk_cli.observe.quantities import Figure

BACKGROUND, INK, FAINT = (17, 18, 23), (216, 217, 218), (140, 143, 150)
TEXT_SIZE, TITLE_SIZE = 13, 18
LINE = 18
"""Pixels from label to label on the axis of keys."""
TIME_WIDTH = 110
"""Pixels for a label on the axis of times."""
HATCH = 8
"""Pixels between the lines of a gap."""
_BAR = 18
_TICK = 5


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the plot is in the picture, in pixels."""

    width: int
    height: int
    left: int = 230
    top: int = 60
    right: int = 130
    bottom: int = 44

    @property
    def plot_width(self) -> int:
        """Of the plot."""
        return self.width - self.left - self.right

    @property
    def plot_height(self) -> int:
        """Of the plot."""
        return self.height - self.top - self.bottom


@dataclass(frozen=True, slots=True)
class Heading:
    """The title, and a smaller line below it."""

    title: str
    caption: str


def drawn(matrix: Matrix, figure: Figure, heading: Heading, layout: Layout) -> bytes:
    """The picture as a PNG."""
    picture = Image.new("RGB", (layout.width, layout.height), BACKGROUND)
    picture.paste(_plot(matrix, layout), (layout.left, layout.top))
    draw = ImageDraw.Draw(picture)
    _heading(draw, heading, layout)
    _keys(draw, matrix, layout)
    _times(draw, matrix, layout)
    _legend(picture, draw, matrix, figure, layout)
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


def _plot(matrix: Matrix, layout: Layout) -> Image.Image:
    width, height = layout.plot_width, layout.plot_height
    pick = itemgetter(*matrix.column_of_pixel(width))
    lines = [bytes(pick(row)) for row in matrix.levels()]
    data = b"".join(lines[row] for row in matrix.row_of_pixel(height))
    return _coloured(Image.frombytes("P", (width, height), data))


def _coloured(levels: Image.Image) -> Image.Image:
    """The picture of the levels, with gaps hatched."""
    gaps = levels.point(lambda level: 255 * (level == GAP), "L")
    levels.putpalette([part for each in palette(LEVELS) for part in each])
    picture = levels.convert("RGB")
    hatched = picture.copy()
    _hatch(ImageDraw.Draw(hatched), *levels.size)
    picture.paste(hatched, mask=gaps)
    return picture


def _hatch(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    for at in range(-height, width, HATCH):
        draw.line((at, height, at + height, 0), HATCH_COLOUR)


def _heading(draw: ImageDraw.ImageDraw, heading: Heading, layout: Layout) -> None:
    room = layout.width - 2 * _BAR
    for text, y, size, ink in ((heading.title, 10, TITLE_SIZE, INK), (heading.caption, 35, TEXT_SIZE, FAINT)):
        font = _font(size)
        draw.text((_BAR, y), _line(_known(text, font), room, font), ink, font)


def _line(text: str, room: float, font: ImageFont.FreeTypeFont) -> str:
    return heat_axes.fitted(text, room, font.getlength, lambda most: f"{text[: most - 1]}…")


def _keys(draw: ImageDraw.ImageDraw, matrix: Matrix, layout: Layout) -> None:
    font, count = _font(TEXT_SIZE), len(matrix.starts)
    for row in heat_axes.labelled_rows(count, layout.plot_height, LINE):
        y = layout.top + row * layout.plot_height / count
        text = _key(matrix.starts[row], layout.left - 4 * _TICK, font)
        draw.line((layout.left - _TICK, y, layout.left - 1, y), FAINT)
        draw.text((layout.left - 2 * _TICK, y), text, INK, font, anchor="rt")


def _key(start: bytes, width: int, font: ImageFont.FreeTypeFont) -> str:
    def shown(most: int) -> str:
        return _known(heat_axes.key_label(start, most), font)

    return heat_axes.fitted(shown(width), width, font.getlength, shown)


def _times(draw: ImageDraw.ImageDraw, matrix: Matrix, layout: Layout) -> None:
    font, first = _font(TEXT_SIZE), matrix.times_ms[0]
    below, span = layout.top + layout.plot_height, matrix.until_ms - first
    for at_ms, text in heat_axes.time_ticks(first, matrix.until_ms, layout.plot_width // TIME_WIDTH):
        x = layout.left + (at_ms - first) / span * layout.plot_width
        draw.line((x, below, x, below + _TICK), FAINT)
        draw.text((x, below + 2 * _TICK), text, INK, font, anchor="mt")


def _legend(picture: Image.Image, draw: ImageDraw.ImageDraw, matrix: Matrix, figure: Figure, layout: Layout) -> None:
    left, height = layout.width - layout.right + _BAR, min(layout.plot_height - 3 * LINE, 400)
    bar = Image.frombytes("P", (1, height), bytes(LEVELS - at * (LEVELS - 1) // (height - 1) for at in range(height)))
    picture.paste(_coloured(bar).resize((_BAR, height)), (left, layout.top))
    for share in heat_axes.spaced(5):
        value = matrix.value_at(1 + share * (LEVELS - 1))
        y = layout.top + round((1 - share) * (height - 1))
        draw.text((left + _BAR + _TICK, y), quantities.shown(figure, value), INK, _font(TEXT_SIZE), anchor="lm")
    y = layout.top + height + LINE
    picture.paste(_coloured(Image.new("P", (_BAR, _BAR), GAP)), (left, y))
    draw.text((left + _BAR + _TICK, y + _BAR // 2), "unknown", INK, _font(TEXT_SIZE), anchor="lm")


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that Pillow carries: what a machine has installed differs."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow is built with FreeType, as its wheels are"
    return font


def _known(text: str, font: ImageFont.FreeTypeFont) -> str:
    lacking = bytes(font.getmask("\U0010ffff"))
    return heat_axes.drawable(text, lambda each: each.isascii() or bytes(font.getmask(each)) != lacking)
