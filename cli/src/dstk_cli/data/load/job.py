"""One load as the user asked for it: source, format, recipe; and the chunks that it makes of the source."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from dstk_cli.data.load.checkpoint import Checkpoint
from dstk_cli.data.load.origin import Origin
from dstk_cli.errors import USAGE, CliError
from dstk_formats import dump, jsonlines
from dstk_formats.chunks import Chunk, Make, chunks
from dstk_formats.delimited import Delimited
from dstk_formats.lines import Line, Lines
from dstk_formats.recipe import Maker, Recipe
from dstk_formats.source import BadLineError, Format, Row


@dataclass(frozen=True, slots=True)
class Job:
    """A load; `recipe` is None for a dump, whose records are complete."""

    origin: Origin
    recipe: Recipe | None
    skip_bad: bool

    def chunks(self, lines: Lines, done: Checkpoint | None) -> Iterator[Chunk]:
        """The chunks of the source behind the checkpoint. Raises CliError and SourceError."""
        if self.recipe is None:
            first = lines.skip_to(done.position) if done else b""
            rows, make = _dump(lines, first)
        else:
            rows, make = self._rows(lines, self.recipe), Maker(self.recipe).record
            if done:  # behind the header, which every load reads
                lines.skip_to(done.position)
        return chunks(lines, rows, make, skip_bad=self.skip_bad)

    def _rows(self, lines: Lines, recipe: Recipe) -> Iterator[Row | BadLineError]:
        if self.origin.form is Format.JSONL:
            return jsonlines.rows(lines, recipe.wanted)
        source = Delimited(lines, self.origin.form)
        missing = [name for name in recipe.wanted if name not in source.columns]
        if missing:
            what = "value" if missing[0] == recipe.value else "key"
            columns = ", ".join(source.columns)
            raise CliError(f"no column {missing[0]!r} for the {what}", f"the columns are: {columns}", USAGE)
        return source.rows(recipe.wanted, whole=recipe.value is None)


def _dump(lines: Lines, first: Line) -> tuple[Iterator[Row | BadLineError], Make]:
    return dump.rows(lines, first), dump.FromDump(lambda: time.time_ns() // 1_000_000).record
