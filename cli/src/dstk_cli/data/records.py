"""`dstk put | get | delete`: one record."""

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.markup import escape
from rich.table import Table

from dstk_cli import console
from dstk_cli.command import guarded_async
from dstk_cli.data import connection, values
from dstk_cli.errors import FAILED, USAGE, CliError
from dstk_cli.options import DEFAULT_DATA_DIR, DEFAULT_TIMEOUT, DataDir, Output, OutputFormat, Router, Timeout
from dstk_client import Record
from dstk_keytypes import Etag, Key, limits

KeyText = Annotated[
    str, typer.Argument(metavar="KEY", help='Text, a typed tuple such as \'("city","FR",2988507)\', or 0x hex.')
]
IfEtag = Annotated[int | None, typer.Option(min=1, help="Only if the record still carries this etag.")]

PUT_EXAMPLES = """
[bold]Examples[/]

  dstk put hello world

  dstk put '("city","FR",2988507)' '{"name":"Paris"}' --if-absent

  dstk put session:42 token --ttl 30m

  dstk put logo --file logo.png        dstk put notes - < notes.txt
"""
GET_EXAMPLES = """
[bold]Examples[/]

  dstk get hello

  dstk get '("city","FR",2988507)' --output json

  dstk get logo --raw > logo.png
"""


@guarded_async
async def put(
    *,
    key: KeyText,
    value: Annotated[str | None, typer.Argument(help="The value as text; - reads standard input.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", exists=True, dir_okay=False, help="Read it from here.")
    ] = None,
    if_absent: Annotated[bool, typer.Option("--if-absent", help="Only if the key has no record.")] = False,
    if_etag: IfEtag = None,
    ttl: Annotated[str | None, typer.Option(metavar="TIME", help="Expire after: 90, 500ms, 5m, 2h, 7d.")] = None,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Writes a record; returns once it is on disk. Prints its etag."""
    if if_absent and if_etag:
        raise CliError("--if-absent and --if-etag exclude each other", "give one of them", USAGE)
    parsed, content = Key.parse(key), _content(value, file)
    expires = values.parse_ttl(ttl) if ttl else None
    async with connection.find(router, data_dir, seconds).client() as client:
        etag = await client.put(
            parsed, content, if_absent=if_absent, if_etag=Etag(if_etag) if if_etag else None, ttl=expires
        )
    if output is OutputFormat.JSON:
        console.json_line({"key": parsed.display(), "etag": int(etag)})
    else:
        console.out().print(f"[green]written[/] {escape(parsed.display())}   etag {int(etag)}")


@guarded_async
async def get(
    *,
    key: KeyText,
    raw: Annotated[bool, typer.Option("--raw", help="Print the value's bytes and nothing else.")] = False,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Reads a record. Exit code 1 when the key has none."""
    parsed = Key.parse(key)
    async with connection.find(router, data_dir, seconds).client() as client:
        record = await client.get(parsed)
    if record is None:
        raise CliError(f"no record under key {parsed.display()}", exit_code=FAILED)
    if raw:
        sys.stdout.buffer.write(record.value)
        sys.stdout.buffer.flush()
    elif output is OutputFormat.JSON:
        console.json_line(values.as_json(record))
    else:
        console.out().print(card(record))


@guarded_async
async def delete(
    *,
    key: KeyText,
    if_etag: IfEtag = None,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Removes a record; returns once that is on disk. Exit code 1 when the key has none."""
    parsed = Key.parse(key)
    async with connection.find(router, data_dir, seconds).client() as client:
        deleted = await client.delete(parsed, if_etag=Etag(if_etag) if if_etag else None)
    if not deleted:
        raise CliError(f"no record under key {parsed.display()}", exit_code=FAILED)
    if output is OutputFormat.JSON:
        console.json_line({"key": parsed.display(), "deleted": True})
    else:
        console.out().print(f"[green]deleted[/] {escape(parsed.display())}")


def card(record: Record) -> Table:
    """A record, a field a line."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("key", escape(record.key.display()))
    table.add_row("value", escape(values.pretty(record.value)))
    table.add_row("etag", str(record.etag))
    table.add_row("written", values.timestamp(record.written_at_ms))
    if record.expires_at_ms:
        table.add_row("expires", values.timestamp(record.expires_at_ms))
    return table


def _content(value: str | None, file: Path | None) -> bytes:
    if (value is None) == (file is None):
        raise CliError("give the value once", "as an argument, as - for standard input, or with --file PATH", USAGE)
    if file is not None:
        with file.open("rb") as stream:
            return _read(stream)
    return _read(sys.stdin.buffer) if value == "-" else str(value).encode()


def _read(stream: BinaryIO) -> bytes:
    """All of it; at most one byte over the limit, which the client then refuses."""
    return stream.read(limits.MAX_VALUE_BYTES + 1)
