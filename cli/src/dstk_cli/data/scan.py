"""`dstk scan`: records in key order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from dstk_cli import console
from dstk_cli.connected import Connection, connected
from dstk_cli.connection import Target
from dstk_cli.data import ranges, values
from dstk_cli.data.dumping import Dump
from dstk_cli.data.load.progress import shown
from dstk_cli.data.rows import Row, lines
from dstk_cli.errors import USAGE, CliError
from dstk_cli.options import OutputFormat
from dstk_cli.untrusted import as_markup
from dstk_client import Client, Record
from dstk_keytypes import KeyRange

TABLE_LIMIT = 100
MAX_LIMIT = 10**15
"""Records of one scan: more than any cluster holds."""

SCAN_EXAMPLES = """
[bold]Examples[/]

  dstk scan --prefix user:                        keys that begin with these bytes

  dstk scan --prefix '("city","FR")' --limit 10    tuples that begin with these parts

  dstk scan --start b --end d --reverse           from d (exclusive) down to b (inclusive)

  dstk scan --output json                         one JSON object a line

  dstk scan --output dump.jsonl                   a file, which dstk load dump.jsonl reads back
"""


@connected()
async def scan(
    connection: Connection,
    *,
    begin: Annotated[str | None, typer.Argument(metavar="PREFIX", help="The same as --prefix.")] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", "-p", metavar="KEY", help="Keys that begin like this.")
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="KEY", help="First key, inclusive.")] = None,
    end: Annotated[str | None, typer.Option(metavar="KEY", help="End, exclusive.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=1, max=MAX_LIMIT, help="Most records; 100 for a table, all for JSON unless given."
        ),
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="From the end to the start.")] = False,
    keys_only: Annotated[bool, typer.Option("--keys-only", help="Without the values.")] = False,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="table|json|FILE", help="For people, for programs, or a dump in a file."
        ),
    ] = "table",
) -> None:
    """Lists records in key order, or writes them to a file that `dstk load` reads."""
    if begin is not None and prefix is not None:
        raise CliError(f"PREFIX {begin!r} and --prefix {prefix!r} are the same", "give one of them", USAGE)
    key_range = ranges.scan_range(begin if prefix is None else prefix, start, end)
    file = _file(output, keys_only=keys_only)
    target = connection.target()
    if file is not None:
        await _dump(target, file, key_range, limit, reverse=reverse)
        return
    async with target.client() as client:
        if output.lower() == OutputFormat.JSON:
            async for record in _records(client, key_range, limit, reverse=reverse):
                console.json_line(values.as_json(record, keys_only=keys_only))
            return
        most = TABLE_LIMIT if limit is None else limit
        records = _records(client, key_range, most + 1, reverse=reverse)
        found = [Row.of(record, keys_only=keys_only) async for record in records]
    _show(found[:most], keys_only=keys_only)
    _show_rest(found, most, reverse=reverse)


def _file(output: str, *, keys_only: bool) -> Path | None:
    """The file that --output names; None for the formats. Raises `CliError`."""
    if output.lower() in set(OutputFormat):
        return None
    path = Path(output)
    if not path.suffix and "/" not in output:  # a bare word is rather a format that there is not
        named = output or "dump"
        raise CliError(f"--output {output!r} is no format", f"give table, json, or a file: ./{named}.jsonl", USAGE)
    if path.is_dir():
        raise CliError(f"--output {output!r} is a directory", "give a file in it, such as dump.jsonl", USAGE)
    if keys_only:
        raise CliError("a dump has whole records: --keys-only does not go with it", "write --output json", USAGE)
    return path


async def _dump(target: Target, path: Path, key_range: KeyRange, limit: int | None, *, reverse: bool) -> None:
    cluster, uid = await target.identity()
    async with target.client() as client:
        with shown(f"writing {path}", None) as screen:
            try:
                records = _records(client, key_range, limit, reverse=reverse)
                count = await Dump(path, cluster, uid, key_range).write(records, screen)
            except asyncio.CancelledError:
                console.note(f"[yellow]interrupted[/]: {as_markup(path)} was not written")
                raise
    console.note(f"[green]written[/] {values.counted(count, 'record')} to {as_markup(path)}")


async def _records(client: Client, key_range: KeyRange, limit: int | None, *, reverse: bool) -> AsyncIterator[Record]:
    if key_range.is_empty:
        return
    async for record in client.scan(key_range, limit=limit, reverse=reverse):
        yield record


def _show(found: Sequence[Row], *, keys_only: bool) -> None:
    if not found:
        return
    screen = console.out()
    for line in lines(found, screen.width, keys_only=keys_only):
        screen.print(line, soft_wrap=True)


def _show_rest(found: Sequence[Row], most: int, *, reverse: bool) -> None:
    if len(found) <= most:
        console.note(f"[dim]{values.counted(len(found), 'record')}[/]" if found else "[dim]no records[/]")
        return
    # the next scan begins at the first record that was left out: inclusive forwards, exclusive backwards
    option, key = ("--end", found[most - 1].key) if reverse else ("--start", found[most].key)
    quoted = as_markup(values.for_shell(key))
    console.note(f"[dim]{most} records, and there are more: go on with {option} {quoted} or a larger --limit[/]")
