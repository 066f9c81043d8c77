"""`dstk scan`: records in key order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from dstk_cli import console, progress
from dstk_cli.connection import Target
from dstk_cli.data import ranges, values
from dstk_cli.data.dumping import Dump
from dstk_cli.data.rows import Row, lines
from dstk_cli.errors import USAGE, CliError
from dstk_cli.help import examples
from dstk_cli.options import OutputFormat
from dstk_cli.session import Session, connected
from dstk_cli.untrusted import as_markup
from dstk_client import Client, Record
from dstk_keytypes import KeyRange
from dstk_service import figures

TABLE_LIMIT = 100
MAX_LIMIT = 10**15
"""Maximum of --limit: more records than any cluster holds."""

SCAN_EXAMPLES = examples("""
  dstk scan --prefix user:                        keys that begin with these bytes
  dstk scan --prefix '("city","FR")' --limit 10    tuples that begin with these parts
  dstk scan --start b --end d --reverse           from d (exclusive) down to b (inclusive)
  dstk scan --output json                         one JSON object a line
  dstk scan --output dump.jsonl                   a file, which dstk load dump.jsonl reads back
""")


Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        "-n",
        min=1,
        max=MAX_LIMIT,
        help=f"Maximum number of records. Default: {TABLE_LIMIT} for a table, else all.",
    ),
]
Reverse = Annotated[bool, typer.Option("--reverse", help="From the end to the start.")]
KeysOnly = Annotated[bool, typer.Option("--keys-only", help="Omit the values.")]
OutputOrFile = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="table|json|FILE", help="A table for people, JSON for programs, or a dump to a file."
    ),
]


@dataclass(frozen=True, slots=True)
class Query:
    """The records that a scan asks for."""

    key_range: KeyRange
    limit: int | None
    reverse: bool
    keys_only: bool


@connected(output=False)
async def scan(
    session: Session,
    begin: ranges.PrefixArgument = None,
    prefix: ranges.Prefix = None,
    start: ranges.Start = None,
    end: ranges.End = None,
    limit: Limit = None,
    reverse: Reverse = False,
    keys_only: KeysOnly = False,
    output: OutputOrFile = "table",
) -> None:
    """List records in key order, or write them to a file that `dstk load` reads."""
    key_range = ranges.chosen_range(begin, prefix, start, end)
    query = Query(key_range, limit, reverse, keys_only)
    file = _file(output, keys_only=keys_only)
    target = session.target()
    if file is not None:
        await _dump(target, file, query)
        return
    async with target.client() as client:
        if output.lower() == OutputFormat.JSON:
            async for record in _records(client, query):
                console.json_line(values.as_json(record, keys_only=keys_only))
        else:
            await _table(client, query)


def _file(output: str, *, keys_only: bool) -> Path | None:
    """The file that --output names; None for a format. Raises CliError."""
    if output.lower() in set(OutputFormat):
        return None
    path = Path(output)
    if not path.suffix and "/" not in output:  # a bare word is more likely a mistyped format than a file
        named = output or "dump"
        raise CliError(f"--output {output!r} is not a format", f"give table, json, or a file: ./{named}.jsonl", USAGE)
    if path.is_dir():
        raise CliError(f"--output {output!r} is a directory", "give a file in it, such as dump.jsonl", USAGE)
    if keys_only:
        raise CliError("--keys-only excludes a dump, which contains values", "write --output json", USAGE)
    return path


async def _dump(target: Target, path: Path, query: Query) -> None:
    cluster, uid = await target.identity()
    async with target.client() as client:
        with progress.records(f"writing {path}", None) as screen:
            try:
                count = await Dump(path, cluster, uid, query.key_range).write(_records(client, query), screen)
            except asyncio.CancelledError:
                console.note(f"[yellow]interrupted[/]: {as_markup(path)} was not written")
                raise
    console.note(f"[green]written[/] {figures.counted(count, 'record')} to {as_markup(path)}")


async def _table(client: Client, query: Query) -> None:
    """Prints at most `limit` records; reads one more, to know whether there are more."""
    most = TABLE_LIMIT if query.limit is None else query.limit
    records = _records(client, replace(query, limit=most + 1))
    found = [Row.of(record, keys_only=query.keys_only) async for record in records]
    _show(found[:most], keys_only=query.keys_only)
    _show_rest(found, most, reverse=query.reverse)


async def _records(client: Client, query: Query) -> AsyncIterator[Record]:
    if query.key_range.is_empty:
        return
    async for record in client.scan(query.key_range, limit=query.limit, reverse=query.reverse):
        yield record


def _show(found: Sequence[Row], *, keys_only: bool) -> None:
    if not found:
        return
    screen = console.out()
    for line in lines(found, screen.width, keys_only=keys_only):
        screen.print(line, soft_wrap=True)


def _show_rest(found: Sequence[Row], most: int, *, reverse: bool) -> None:
    if len(found) <= most:
        console.note(f"[dim]{figures.counted(len(found), 'record')}[/]" if found else "[dim]no records[/]")
        return
    # the next scan starts at the first record not shown: inclusive forwards, exclusive backwards
    option, key = ("--end", found[most - 1].key) if reverse else ("--start", found[most].key)
    quoted = as_markup(values.for_shell(key))
    count = figures.counted(most, "record")
    console.note(f"[dim]{count} shown, more exist: continue with {option} {quoted} or a larger --limit[/]")
