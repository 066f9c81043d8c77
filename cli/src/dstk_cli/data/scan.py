"""`dstk scan`: records in key order."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import typer

from dstk_cli import console
from dstk_cli.command import guarded_async
from dstk_cli.data import connection, ranges, values
from dstk_cli.data.rows import Row, lines
from dstk_cli.errors import USAGE, CliError
from dstk_cli.options import DEFAULT_DATA_DIR, DEFAULT_TIMEOUT, DataDir, Output, OutputFormat, Router, Timeout
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

  dstk scan --output json > everything.jsonl      one JSON object a line
"""


@guarded_async
async def scan(
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
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Lists records in key order."""
    if begin is not None and prefix is not None:
        raise CliError(f"PREFIX {begin!r} and --prefix {prefix!r} are the same", "give one of them", USAGE)
    key_range = ranges.scan_range(begin if prefix is None else prefix, start, end)
    async with connection.find(router, data_dir, seconds).client() as client:
        if output is OutputFormat.JSON:
            async for record in _records(client, key_range, limit, reverse=reverse):
                console.json_line(values.as_json(record, keys_only=keys_only))
            return
        shown = TABLE_LIMIT if limit is None else limit
        records = _records(client, key_range, shown + 1, reverse=reverse)
        found = [Row.of(record, keys_only=keys_only) async for record in records]
    _show(found[:shown], keys_only=keys_only)
    _show_rest(found, shown, reverse=reverse)


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


def _show_rest(found: Sequence[Row], shown: int, *, reverse: bool) -> None:
    if len(found) <= shown:
        console.note(f"[dim]{len(found)} records[/]" if found else "[dim]no records[/]")
        return
    # the next scan begins at the first record that was left out: inclusive forwards, exclusive backwards
    option, key = ("--end", found[shown - 1].key) if reverse else ("--start", found[shown].key)
    quoted = as_markup(values.for_shell(key))
    console.note(f"[dim]{shown} records, and there are more: go on with {option} {quoted} or a larger --limit[/]")
