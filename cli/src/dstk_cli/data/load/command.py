"""`dstk load`."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from dstk_cli import console, progress
from dstk_cli.connection import Target
from dstk_cli.data import values
from dstk_cli.data.load.bad import BadLines
from dstk_cli.data.load.checkpoint import Checkpoint, Subject
from dstk_cli.data.load.job import Job
from dstk_cli.data.load.loader import Checkpoints, Loader
from dstk_cli.data.load.origin import Origin, origin
from dstk_cli.data.load.recipe_options import recipe
from dstk_cli.errors import SOME_SKIPPED, USAGE, CliError
from dstk_cli.help import examples
from dstk_cli.options import TimeToLive
from dstk_cli.progress import Meter
from dstk_cli.session import Session, connected
from dstk_cli.untrusted import as_markup
from dstk_formats.chunks import Chunk
from dstk_formats.lines import Lines
from dstk_formats.recipe import Recipe
from dstk_formats.source import Format
from dstk_service import figures

LOAD_TIMEOUT = 60.0

LOAD_EXAMPLES = examples("""
  dstk load places.jsonl --key-prefix city --key country,geonameid
  [dim]...makes keys such as ("city","FR",2988507). CSV fields are text by default:[/]
  dstk load people.csv --key id:int --skip-bad
  zcat events.jsonl.gz | dstk load - --format jsonl --key day,id
  dstk load pairs.tsv --key k --raw-key --value v
  [dim]A dump, which `dstk scan --output dump.jsonl` writes, contains its keys:[/]
  dstk load dump.jsonl
  [dim]After Ctrl-C, a crash, or the correction of a bad line:[/]
  dstk load places.jsonl --key-prefix city --key country,geonameid --resume
[bold]Exit codes[/]  0 all records loaded, 1 stopped, 2 wrong options, 4 some records skipped
""")

Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE", allow_dash=True, help="A file of JSON lines, CSV, TSV, or a dump; - for standard input."
    ),
]
KeyFields = Annotated[
    str | None,
    typer.Option(
        "--key",
        "-k",
        metavar="FIELD[:TYPE],...",
        help="Fields that form the key, in order. TYPE is int, float, text, bool, uuid or datetime. Not for a dump.",
    ),
]
KeyPrefix = Annotated[str | None, typer.Option("--key-prefix", metavar="TEXT|TUPLE", help="First parts of every key.")]
RawKey = Annotated[bool, typer.Option("--raw-key", help="The key field contains the complete key.")]
ValueField = Annotated[
    str | None,
    typer.Option(
        "--value", metavar="FIELD", help="Field to store as the value. Default: the JSON line, or the row as JSON."
    ),
]
SourceFormat = Annotated[Format | None, typer.Option("--format", help="Format of the source. Default: by file name.")]
Resume = Annotated[bool, typer.Option("--resume", help="Resume an interrupted load of this file.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Skip bad records and write them to FILE.bad.")]
Direct = Annotated[bool, typer.Option("--direct", help="Send to the storage nodes directly, not through the router.")]


@connected(LOAD_TIMEOUT)
async def load(
    session: Session,
    source: Source,
    key: KeyFields = None,
    key_prefix: KeyPrefix = None,
    raw_key: RawKey = False,
    value: ValueField = None,
    form: SourceFormat = None,
    ttl: TimeToLive = None,
    resume: Resume = False,
    skip_bad: SkipBad = False,
    direct: Direct = False,
) -> None:
    """Load JSON lines, CSV, TSV or a dump. A record with an existing key replaces the stored one.

    Memory use is bounded for sources of any size. An interrupted load continues with --resume.
    """
    options = {"--key": key, "--key-prefix": key_prefix, "--value": value, "--ttl": ttl}
    if raw_key:
        options["--raw-key"] = "given"
    from_ = origin(str(source), form, has_key=key is not None, resume=resume)
    job = Job(from_, _recipe(key, options, raw_key=raw_key), skip_bad)
    expires = None if ttl is None else values.parse_ttl(ttl)
    target = session.target()
    with from_.open() as stream, progress.records(f"loading {source}", from_.size) as screen:
        checkpoints, done = await _checkpoints(from_, target, options, resume=resume)
        chunks = job.chunks(Lines(stream), done)
        async with target.client("thick" if direct else "gateway") as client:
            bad_lines = BadLines(from_.bad if skip_bad else None, done.bad_bytes if done else 0)
            loader = Loader(client, checkpoints, bad_lines, expires, screen)
            await _interruptible(loader, chunks, from_)
    _report(session, loader, screen.meter, from_)


def _recipe(key: str | None, options: Mapping[str, str | None], *, raw_key: bool) -> Recipe | None:
    """The recipe that the options describe; None for a dump. Raises CliError."""
    if key is not None:
        return recipe(key, options["--key-prefix"], options["--value"], raw_key=raw_key)
    given = next((name for name, option in options.items() if option is not None), None)
    if given is not None:
        why = f"{given} requires --key; a source without --key is a dump, whose records are complete"
        raise CliError(why, f"name the fields that form the key, or omit {given}", USAGE)
    return None


async def _checkpoints(
    from_: Origin, target: Target, options: Mapping[str, str | None], *, resume: bool
) -> tuple[Checkpoints, Checkpoint | None]:
    """Where the load writes its checkpoints, and the checkpoint to resume from. Raises CliError."""
    if from_.path is None or not from_.regular:
        return Checkpoints(None, Subject("", "", {})), None
    subject = Subject(*await target.identity(), {"--format": str(from_.form), **options})
    path = Checkpoint.path(from_.path)
    done = Checkpoint.load(path) if resume else None
    if done is not None:
        done.check(subject)
        loaded = figures.counted(done.records, "record")
        console.note(f"[dim]resuming after line {done.position.lines:,}; {loaded} already loaded[/]")
    elif resume:
        console.note(f"[dim]no interrupted load of {as_markup(from_.path)} found; loading from the start[/]")
    return Checkpoints(path, subject, done.records if done else 0), done


async def _interruptible(loader: Loader, chunks: Iterator[Chunk], from_: Origin) -> None:
    try:
        await loader.run(chunks)
    except asyncio.CancelledError:
        again = "; continue with --resume" if from_.regular else ""
        console.note(f"[yellow]interrupted[/] after {figures.counted(loader.outcome.rows, 'record')}{again}")
        raise


def _report(session: Session, loader: Loader, meter: Meter, from_: Origin) -> None:
    """Prints the outcome. Raises CliError if a bad record stopped the load, and Exit if records were skipped."""
    outcome, bad = loader.outcome, loader.bad_lines
    counts = {"records": outcome.rows, "skipped": bad.records, "skipped_lines": bad.lines}
    rates = {"expired": outcome.expired, "seconds": round(meter.seconds, 3), "per_second": round(meter.rate)}
    loaded = f"{figures.counted(outcome.rows, 'record')} in {meter.seconds:.1f} s, {meter.rate:,.0f}/s"
    session.show(counts | rates, f"[green]loaded[/] {loaded}")
    if outcome.expired:
        console.note(f"[dim]skipped {figures.counted(outcome.expired, 'expired record')}[/]")
    if error := outcome.stopped_by:
        again = "correct it and continue with --resume, or " if from_.regular else ""
        raise CliError(f"stopped at {from_.name}, {error}", f"{again}skip such records with --skip-bad")
    if bad.records:
        lines = "" if bad.lines == bad.records else f" ({figures.counted(bad.lines, 'line')})"
        skipped = figures.counted(bad.records, "bad record")
        console.note(f"[yellow]skipped {skipped}{lines}[/]: see {as_markup(bad.path)}")
        raise typer.Exit(SOME_SKIPPED)
