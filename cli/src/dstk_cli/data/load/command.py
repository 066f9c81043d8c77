"""`dstk load`."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import UnsupportedOperation
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from dstk_cli import console
from dstk_cli.command import guarded_async
from dstk_cli.data import connection, values
from dstk_cli.data.load.checkpoint import Checkpoint, describe, skip_loaded
from dstk_cli.data.load.chunks import Chunk, chunks
from dstk_cli.data.load.loader import BadLines, Loader, Outcome
from dstk_cli.data.load.progress import Meter, shown
from dstk_cli.data.load.recipe import Recipe, recipe
from dstk_cli.data.load.source import Format, Lines, header, rows
from dstk_cli.errors import SOME_SKIPPED, USAGE, CliError
from dstk_cli.options import DEFAULT_DATA_DIR, DataDir, Output, OutputFormat, Router, Timeout

LOAD_TIMEOUT = 30.0

LOAD_EXAMPLES = """
[bold]Examples[/]

  dstk load places.jsonl --key-prefix city --key country,geonameid

  [dim]...makes keys such as ("city","FR",2988507); CSV fields are text, unless:[/]

  dstk load people.csv --key id:int --skip-bad

  zcat events.jsonl.gz | dstk load - --format jsonl --key day,id

  dstk load pairs.tsv --key k --raw-key --value v

  [dim]After Ctrl-C, a crash, or a bad line that was put right:[/]

  dstk load places.jsonl --key-prefix city --key country,geonameid --resume

[bold]Exit codes[/]  0 all loaded, 1 stopped, 2 wrong options, 4 some lines left out
"""


@dataclass(frozen=True, slots=True)
class Source:
    """What to load: a file, or standard input when `path` is None."""

    path: Path | None
    form: Format

    @property
    def size(self) -> int | None:
        """Bytes; None when that is not known."""
        return self.path.stat().st_size if self.path else None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes."""
        if self.path is None:
            yield _standard_input()
            return
        with self.path.open("rb") as stream:
            yield stream


def _standard_input() -> BinaryIO:
    """Never closed, and not the interpreter's own object: a thread may still read from it when the process ends."""
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except UnsupportedOperation:
        return sys.stdin.buffer


@guarded_async
async def load(
    *,
    source: Annotated[
        Path, typer.Argument(allow_dash=True, help="A file of JSON lines, CSV or TSV; - reads standard input.")
    ],
    key: Annotated[
        str,
        typer.Option(
            "--key",
            "-k",
            metavar="FIELD[:TYPE],...",
            help="The fields that make the key, in order. TYPE is int, float or text.",
        ),
    ],
    key_prefix: Annotated[str | None, typer.Option(metavar="TEXT|TUPLE", help="What comes first in every key.")] = None,
    raw_key: Annotated[bool, typer.Option("--raw-key", help="The key field holds the whole key.")] = False,
    value: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Store this field; unless given, the row as JSON.")
    ] = None,
    form: Annotated[Format | None, typer.Option("--format", help="Told by the file's name unless given.")] = None,
    ttl: Annotated[str | None, typer.Option(metavar="TIME", help="Expire after: 90, 500ms, 5m, 2h, 7d.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted load of this file stopped.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad lines out, and collect them in FILE.bad.")
    ] = False,
    direct: Annotated[
        bool, typer.Option("--direct", help="Send to the storage nodes rather than through the router.")
    ] = False,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = LOAD_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Loads JSON lines, CSV or TSV; a record that exists is replaced.

    Memory stays bounded whatever the size. A load that was interrupted goes on with --resume.
    """
    origin, how = _source(str(source), form, resume=resume), recipe(key, key_prefix, value, raw_key=raw_key)
    expires = values.parse_ttl(ttl) if ttl else None
    target = connection.find(router, data_dir, seconds)
    with origin.open() as stream, shown(f"loading {source}", origin.size) as screen:
        done = _interrupted(origin) if resume else None
        prepared = _prepare(Lines(stream), origin, how, done, skip_bad=skip_bad)
        async with target.client("thick" if direct else "gateway") as client:
            bad_lines = BadLines(_beside(origin.path, ".bad") if skip_bad else None)
            checkpoint = Checkpoint.path(origin.path) if origin.path else None
            before = done.records if done else 0
            loader = Loader(client, describe(how, origin.form), checkpoint, bad_lines, expires, screen, before)
            outcome = await _interruptible(loader, prepared, origin)
    _report(outcome, screen.meter, origin, output)


def _interrupted(origin: Source) -> Checkpoint | None:
    done = Checkpoint.load(Checkpoint.path(origin.path)) if origin.path else None
    if done is None:
        console.note(f"[dim]no interrupted load of {origin.path} is known: from the start[/]")
    else:
        console.note(
            f"[dim]going on behind line {done.position.lines:,}; {done.records:,} records are loaded already[/]"
        )
    return done


def _prepare(lines: Lines, origin: Source, how: Recipe, done: Checkpoint | None, *, skip_bad: bool) -> Iterator[Chunk]:
    columns = header(lines, origin.form)
    missing = [field.name for field in how.key if columns and field.name not in columns]
    if missing:
        raise CliError(f"no column {missing[0]!r} for the key", f"the columns are: {', '.join(columns)}", USAGE)
    if done:
        skip_loaded(lines, done, describe(how, origin.form))
    return chunks(lines, rows(lines, origin.form, columns), how, skip_bad=skip_bad)


async def _interruptible(loader: Loader, prepared: Iterator[Chunk], origin: Source) -> Outcome:
    try:
        return await loader.run(prepared)
    except asyncio.CancelledError:
        again = "; go on with --resume" if origin.path else ""
        console.note(f"[yellow]interrupted[/] after {loader.outcome.rows:,} records{again}")
        raise


def _report(outcome: Outcome, meter: Meter, origin: Source, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        figures = {"records": outcome.rows, "left_out": outcome.bad}
        console.json_line({**figures, "seconds": round(meter.seconds, 3), "per_second": round(meter.rate)})
    else:
        console.out().print(f"[green]loaded[/] {outcome.rows:,} records in {meter.seconds:.1f} s, {meter.rate:,.0f}/s")
    if error := outcome.stopped_by:
        again = "put it right and go on with --resume, or " if origin.path else ""
        raise CliError(
            f"stopped at {origin.path or 'standard input'}, {error}", f"{again}leave such lines out with --skip-bad"
        )
    if outcome.bad:
        where = f": see {_beside(origin.path, '.bad')}" if origin.path else ""
        console.note(f"[yellow]{outcome.bad:,} bad lines were left out[/]{where}")
        raise typer.Exit(SOME_SKIPPED)


def _source(text: str, form: Format | None, *, resume: bool) -> Source:
    if text == "-":
        if form is None:
            raise CliError("standard input has no name to tell its format", "add --format jsonl, csv or tsv", USAGE)
        if resume:
            raise CliError("a load from standard input cannot be resumed", "load from a file, or start over", USAGE)
        return Source(None, form)
    path = Path(text)
    if not path.is_file():
        raise CliError(f"{text}: no such file", "give a file, or - for standard input", USAGE)
    chosen = form or Format.of(path)
    if chosen is None:
        raise CliError(f"{text}: the name does not tell the format", "add --format jsonl, csv or tsv", USAGE)
    return Source(path, chosen)


def _beside(path: Path | None, suffix: str) -> Path | None:
    return path.with_name(path.name + suffix) if path else None
