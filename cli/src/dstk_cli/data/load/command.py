"""`dstk load`."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dstk_cli import console
from dstk_cli.connected import Connection, connected
from dstk_cli.connection import Target
from dstk_cli.data import values
from dstk_cli.data.load import dump, jsonlines
from dstk_cli.data.load.bad import BadLines
from dstk_cli.data.load.checkpoint import Checkpoint, Subject, skip_loaded
from dstk_cli.data.load.chunks import Chunk, chunks
from dstk_cli.data.load.delimited import Delimited
from dstk_cli.data.load.lines import Lines
from dstk_cli.data.load.loader import Loader, Progress
from dstk_cli.data.load.origin import Origin, origin
from dstk_cli.data.load.progress import Meter, shown
from dstk_cli.data.load.recipe import Maker, Recipe, recipe
from dstk_cli.data.load.source import BadLineError, Format, Row
from dstk_cli.errors import SOME_SKIPPED, USAGE, CliError
from dstk_cli.options import Output, OutputFormat
from dstk_cli.untrusted import as_markup

LOAD_TIMEOUT = 60.0

LOAD_EXAMPLES = """
[bold]Examples[/]

  dstk load places.jsonl --key-prefix city --key country,geonameid

  [dim]...makes keys such as ("city","FR",2988507); CSV fields are text, unless:[/]

  dstk load people.csv --key id:int --skip-bad

  zcat events.jsonl.gz | dstk load - --format jsonl --key day,id

  dstk load pairs.tsv --key k --raw-key --value v

  [dim]What `dstk scan --output dump.jsonl` has written has its keys:[/]

  dstk load dump.jsonl

  [dim]After Ctrl-C, a crash, or a bad line that was put right:[/]

  dstk load places.jsonl --key-prefix city --key country,geonameid --resume

[bold]Exit codes[/]  0 all loaded, 1 stopped, 2 wrong options, 4 some lines left out
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A load as it was asked for. `how` None: the source is a dump."""

    origin: Origin
    how: Recipe | None
    skip_bad: bool

    def chunks(self, lines: Lines, done: Checkpoint | None) -> Iterator[Chunk]:
        """The source in pieces, from where an interrupted load stopped. Raises `CliError`."""
        form, how = self.origin.form, self.how
        if how is None:
            first = skip_loaded(lines, done) if done else b""
            rows, make = dump.rows(lines, first), dump.FromDump(lambda: time.time_ns() // 1_000_000).record
        elif form is Format.JSONL:
            rows, make = jsonlines.rows(lines, how.wanted), Maker(how).record
        else:
            rows, make = self._delimited(lines, how), Maker(how).record
        if done and how is not None:
            skip_loaded(lines, done)
        return chunks(lines, rows, make, skip_bad=self.skip_bad)

    def _delimited(self, lines: Lines, how: Recipe) -> Iterator[Row | BadLineError]:
        source = Delimited(lines, self.origin.form)
        missing = [name for name in how.wanted if name not in source.columns]
        if missing:
            what = "value" if missing[0] == how.value else "key"
            raise CliError(
                f"no column {missing[0]!r} for the {what}", f"the columns are: {', '.join(source.columns)}", USAGE
            )
        return source.rows(how.wanted, whole=how.value is None)


@connected(LOAD_TIMEOUT)
async def load(
    connection: Connection,
    *,
    source: Annotated[
        Path, typer.Argument(allow_dash=True, help="A file of JSON lines, CSV, TSV, or a dump; - reads standard input.")
    ],
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            "-k",
            metavar="FIELD[:TYPE],...",
            help="The fields that make the key, in order. TYPE is int, float, text, bool, uuid or datetime. "
            "A dump has its keys.",
        ),
    ] = None,
    key_prefix: Annotated[str | None, typer.Option(metavar="TEXT|TUPLE", help="What comes first in every key.")] = None,
    raw_key: Annotated[bool, typer.Option("--raw-key", help="The key field holds the whole key.")] = False,
    value: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="Store this field; unless given, the line of JSON, or the row as JSON."),
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
    output: Output = OutputFormat.TABLE,
) -> None:
    """Loads JSON lines, CSV, TSV or a dump; a record that exists is replaced.

    Memory stays bounded whatever the size. A load that was interrupted goes on with --resume.
    """
    options = {"--key": key, "--key-prefix": key_prefix, "--value": value, "--ttl": ttl}
    if raw_key:
        options["--raw-key"] = "given"
    from_ = origin(str(source), form, has_key=key is not None, resume=resume)
    how = _recipe(key, options, raw_key=raw_key)
    job = Job(from_, how, skip_bad)
    expires = None if ttl is None else values.parse_ttl(ttl)
    target = connection.target()
    with from_.open() as stream, shown(f"loading {source}", from_.size) as screen:
        progress, done = await _progress(from_, target, options, resume=resume)
        prepared = job.chunks(Lines(stream), done)
        async with target.client("thick" if direct else "gateway") as client:
            bad_lines = BadLines(from_.bad if skip_bad else None, done.bad_bytes if done else 0)
            loader = Loader(client, progress, bad_lines, expires, screen)
            await _interruptible(loader, prepared, from_)
    _report(loader, screen.meter, from_, output)


def _recipe(key: str | None, options: Mapping[str, str | None], *, raw_key: bool) -> Recipe | None:
    """None: a dump, of which every record is made already."""
    if key is not None:
        return recipe(key, options["--key-prefix"], options["--value"], raw_key=raw_key)
    given = next((name for name, option in options.items() if option is not None), None)
    if given is not None:
        why = f"{given} goes with --key; without that the source is a dump, whose records are whole"
        raise CliError(why, f"say which fields make the key, or leave {given} out", USAGE)
    return None


async def _progress(
    from_: Origin, target: Target, options: Mapping[str, str | None], *, resume: bool
) -> tuple[Progress, Checkpoint | None]:
    """Where the load notes how far it is, and how far an interrupted one of the same came. Raises `CliError`."""
    if from_.path is None or not from_.regular:
        return Progress(None, Subject("", "", {})), None
    subject = Subject(*await target.identity(), {"--format": str(from_.form), **options})
    path = Checkpoint.path(from_.path)
    done = Checkpoint.load(path) if resume else None
    if done is not None:
        done.check(subject)
        console.note(
            f"[dim]going on behind line {done.position.lines:,}; {values.counted(done.records, 'record')} loaded already[/]"
        )
    elif resume:
        console.note(f"[dim]no interrupted load of {as_markup(from_.path)} is known: from the start[/]")
    return Progress(path, subject, done.records if done else 0), done


async def _interruptible(loader: Loader, prepared: Iterator[Chunk], from_: Origin) -> None:
    try:
        await loader.run(prepared)
    except asyncio.CancelledError:
        again = "; go on with --resume" if from_.regular else ""
        console.note(f"[yellow]interrupted[/] after {values.counted(loader.outcome.rows, 'record')}{again}")
        raise


def _report(loader: Loader, meter: Meter, from_: Origin, output: OutputFormat) -> None:
    outcome, bad = loader.outcome, loader.bad_lines
    if output is OutputFormat.JSON:
        counts = {"records": outcome.rows, "left_out": bad.records, "left_out_lines": bad.lines}
        figures = {"expired": outcome.expired, "seconds": round(meter.seconds, 3), "per_second": round(meter.rate)}
        console.json_line(counts | figures)
    else:
        loaded = values.counted(outcome.rows, "record")
        console.out().print(f"[green]loaded[/] {loaded} in {meter.seconds:.1f} s, {meter.rate:,.0f}/s")
    if outcome.expired:
        console.note(f"[dim]{values.counted(outcome.expired, 'record')} had expired: left out[/]")
    if error := outcome.stopped_by:
        again = "put it right and go on with --resume, or " if from_.regular else ""
        raise CliError(f"stopped at {from_.name}, {error}", f"{again}leave such records out with --skip-bad")
    if bad.records:
        lines = "" if bad.lines == bad.records else f" ({values.counted(bad.lines, 'line')})"
        where = as_markup(bad.path)
        console.note(f"[yellow]{values.counted(bad.records, 'bad record')}{lines} left out[/]: see {where}")
        raise typer.Exit(SOME_SKIPPED)
