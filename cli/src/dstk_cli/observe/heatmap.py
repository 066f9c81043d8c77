"""`dstk heatmap`: a figure over key space and time, as a picture."""

import asyncio
import math
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from dstk.v1 import metrics_pb2
from dstk_cli import console
from dstk_cli.data import ranges
from dstk_cli.errors import USAGE, CliError
from dstk_cli.help import examples
from dstk_cli.messages import key_or_none
from dstk_cli.observe import heat_preview, period, quantities
from dstk_cli.observe.heat_preview import HeatPreview
from dstk_cli.observe.matrix import Matrix, NoMatrix
from dstk_cli.observe.period import Period
from dstk_cli.observe.quantities import Figure
from dstk_cli.observe.service import OBSERVE_TIMEOUT, reach
from dstk_cli.options import OutputFormat
from dstk_cli.session import Session, connected
from dstk_cli.untrusted import as_markup
from dstk_keytypes import KeyRange
from dstk_service import figures
from dstk_service.metrics_requests import MAX_MATRIX
from dstk_service.whole_files import write_atomic

MIN_WIDTH, MIN_HEIGHT, MAX_SIDE = 480, 320, 4_096

HEATMAP_EXAMPLES = examples("""
  dstk heatmap                                   the last hour of reads, in the terminal
  dstk heatmap --output reads.png --last 1d       a picture
  dstk heatmap user: --figure writes -o user.png  keys that begin with these bytes
  dstk heatmap --from 2026-11-27T08:00 --to 2026-11-27T09:30 -o morning.png --overwrite
  dstk heatmap --output json | jq .peak
""")

Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE.png|json", help="A picture, or JSON for programs. Default: the terminal."
    ),
]
FigureOption = Annotated[Figure, typer.Option("--figure", "-f", help="What is shown.", case_sensitive=False)]
Last = Annotated[str | None, typer.Option("--last", metavar="TIME", help="Until now: 30m, 2h, 7d. Default: 1h.")]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="From when on: 2026-11-27T08:30.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Until when. Default: now.")]
Width = Annotated[int, typer.Option("--width", min=MIN_WIDTH, max=MAX_SIDE, help="Of the picture, in pixels.")]
Height = Annotated[int, typer.Option("--height", min=MIN_HEIGHT, max=MAX_SIDE, help="Of the picture, in pixels.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")]


@connected(OBSERVE_TIMEOUT, output=False)
async def heatmap(
    session: Session,
    begin: ranges.PrefixArgument = None,
    prefix: ranges.Prefix = None,
    start: ranges.Start = None,
    end: ranges.End = None,
    figure: FigureOption = Figure.READS,
    last: Last = None,
    from_: From = None,
    to: To = None,
    output: Output = None,
    width: Width = 1600,
    height: Height = 1000,
    overwrite: Overwrite = False,
) -> None:
    """Draws a figure over key space and time: bright where the cluster is hot, hatched where nothing is known.

    Keys run from top to bottom, times from left to right. The scale is logarithmic.
    """
    key_range, when = ranges.chosen_range(begin, prefix, start, end), period.chosen(last, from_, to)
    if output is not None and output.lower() == OutputFormat.JSON:
        console.json_line(_as_json(await _asked(session, key_range, figure, when, MAX_MATRIX, MAX_MATRIX), figure))
    elif output is not None:
        path = _file(output, overwrite=overwrite)
        await _picture(session, key_range, figure, when, path, width, height)
    else:
        await _preview(session, key_range, figure, when)


def _file(output: str, *, overwrite: bool) -> Path:
    """The picture to write. Raises CliError."""
    path = Path(output)
    if path.suffix.lower() != ".png" or "\x00" in output:
        raise CliError(f"--output {output!r} is neither json nor a picture", "give a file such as reads.png", USAGE)
    if path.is_dir() or (path.exists() and not overwrite):
        raise CliError(f"--output {output!r} exists", "give another file, or --overwrite to replace it", USAGE)
    return path


async def _asked(
    session: Session, key_range: KeyRange, figure: Figure, when: Period, columns: int, rows: int
) -> Matrix:
    async with reach(session.target()) as metrics:
        answer: metrics_pb2.GetHistoryResponse = await metrics.history(
            quantities.number(figure),
            key_range,
            from_ms=when.from_ms,
            to_ms=when.to_ms,
            max_rows=min(rows, MAX_MATRIX),
            max_columns=min(columns, MAX_MATRIX),
        )
    try:
        return Matrix.of(answer)
    except NoMatrix as error:
        raise CliError(
            str(error), "the history begins with the metrics service: try a later or a longer time"
        ) from None


async def _picture(
    session: Session, key_range: KeyRange, figure: Figure, when: Period, path: Path, width: int, height: int
) -> None:
    from dstk_cli.observe import heat_image  # noqa: PLC0415 - Pillow takes 30 ms to load, of every command

    layout = heat_image.Layout(width, height)
    matrix = await _asked(session, key_range, figure, when, layout.plot_width, layout.plot_height)
    heading = heat_image.Heading(*_heading(matrix, key_range, figure))
    write_atomic(path, await asyncio.to_thread(heat_image.drawn, matrix, figure, heading, layout), durable=False)
    hottest = quantities.shown(figure, matrix.peak)
    console.note(f"[green]written[/] {as_markup(path)}: {heading.title}, {heading.caption}; the brightest is {hottest}")


async def _preview(session: Session, key_range: KeyRange, figure: Figure, when: Period) -> None:
    screen = console.out()
    if not screen.is_terminal:
        raise CliError("the heat map is drawn on terminals only", "give --output reads.png, or --output json", USAGE)
    matrix = await _asked(session, key_range, figure, when, *heat_preview.room(screen.width, screen.height))
    title, caption = _heading(matrix, key_range, figure)
    screen.print(f"[bold]{title}[/]  [dim]{as_markup(caption)}[/]", HeatPreview(matrix, figure))


def _heading(matrix: Matrix, key_range: KeyRange, figure: Figure) -> tuple[str, str]:
    first, until = (datetime.fromtimestamp(each / 1000).astimezone() for each in (matrix.times_ms[0], matrix.until_ms))
    times = f"{first:%d %b %Y %H:%M} to {until:%d %b %Y %H:%M %Z}"
    return quantities.title(figure), f"{ranges.shown(key_range)}, {times}"


def _as_json(matrix: Matrix, figure: Figure) -> dict[str, Any]:
    """The matrix as one object; what is not known is null."""
    return {
        "figure": figure,
        "peak": matrix.peak,
        "times": [figures.timestamp(each) for each in matrix.times_ms],
        "until": figures.timestamp(matrix.until_ms),
        "end": key_or_none(matrix.end),
        "rows": [
            {"start": key_or_none(start), "values": [each if math.isfinite(each) else None for each in row]}
            for start, row in zip(matrix.starts, matrix.rows, strict=True)
        ],
    }
