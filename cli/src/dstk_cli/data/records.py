"""`dstk put | get | delete`: one record."""

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from dstk_cli import console
from dstk_cli.data import values
from dstk_cli.errors import FAILED, USAGE, CliError
from dstk_cli.help import examples
from dstk_cli.options import TimeToLive
from dstk_cli.session import Session, connected
from dstk_cli.untrusted import as_markup
from dstk_client import Record
from dstk_keytypes import Key, limits
from dstk_service import figures

KeyText = Annotated[
    str, typer.Argument(metavar="KEY", help='Text, a typed tuple such as \'("city","FR",2988507)\', or 0x hex.')
]
IfEtag = Annotated[
    int | None,
    typer.Option("--if-etag", min=1, max=limits.MAX_ETAG, help="Only if the record still has this etag."),
]

Value = Annotated[str | None, typer.Argument(help="The value as text; - for standard input.")]
ValueFile = Annotated[
    Path | None, typer.Option("--file", "-f", exists=True, dir_okay=False, help="Read the value from this file.")
]
IfAbsent = Annotated[bool, typer.Option("--if-absent", help="Only if the key has no record.")]
Raw = Annotated[bool, typer.Option("--raw", help="Print the bytes of the value and nothing else.")]

_NAMES = 9
"""Width of the column with the names of fields."""

PUT_EXAMPLES = examples("""
  dstk put hello world
  dstk put '("city","FR",2988507)' '{"name":"Paris"}' --if-absent
  dstk put session:42 token --ttl 30m
  dstk put logo --file logo.png        dstk put notes - < notes.txt
""")
GET_EXAMPLES = examples("""
  dstk get hello
  dstk get '("city","FR",2988507)' --output json
  dstk get logo --raw > logo.png
""")


@connected()
async def put(
    session: Session,
    key: KeyText,
    value: Value = None,
    file: ValueFile = None,
    if_absent: IfAbsent = False,
    if_etag: IfEtag = None,
    ttl: TimeToLive = None,
) -> None:
    """Write a record and print its etag. Returns once the record is on disk."""
    if if_absent and if_etag is not None:
        raise CliError("--if-absent and --if-etag exclude each other", "give one of them", USAGE)
    parsed, content = Key.parse(key), _content(value, file)
    expires = None if ttl is None else values.parse_ttl(ttl)
    async with session.target().client() as client:
        etag = await client.put(parsed, content, if_absent=if_absent, if_etag=if_etag, ttl=expires)
    name = parsed.display()
    session.show({"key": name, "etag": int(etag)}, f"[green]written[/] {as_markup(name)}   etag {int(etag)}")


@connected()
async def get(
    session: Session,
    key: KeyText,
    raw: Raw = False,
) -> None:
    """Read a record. Exit code 1 if the key has none."""
    parsed = Key.parse(key)
    async with session.target().client() as client:
        record = await client.get(parsed)
    if record is None:
        raise CliError(f"no record under key {parsed.display()}", exit_code=FAILED)
    if raw:
        _write(record.value)
    elif session.is_json:
        console.json_line(values.as_json(record))
    elif sys.stdout.isatty():
        show(record)
    else:
        _write(plain(record))


@connected()
async def delete(
    session: Session,
    key: KeyText,
    if_etag: IfEtag = None,
) -> None:
    """Delete a record. Returns once the deletion is on disk. Exit code 1 if the key has no record."""
    parsed = Key.parse(key)
    async with session.target().client() as client:
        deleted = await client.delete(parsed, if_etag=if_etag)
    if not deleted:
        raise CliError(f"no record under key {parsed.display()}", exit_code=FAILED)
    name = parsed.display()
    session.show({"key": name, "deleted": True}, f"[green]deleted[/] {as_markup(name)}")


def show(record: Record) -> None:
    """Prints a record on a terminal, one field a line. Rich's own layout would take minutes for a value of 500,000 lines."""
    screen = console.out()
    fields = [("key", record.key.display()), ("value", values.pretty(record.value)), *_facts(record)]
    for name, shown in fields:
        screen.print(f"[dim]{name:<{_NAMES}}[/]", end="")
        screen.file.write(values.folded(shown, max(screen.width - _NAMES, 1), indent=_NAMES) + "\n")


def plain(record: Record) -> bytes:
    """A record for a pipe or a file; a text value stays as it is, byte for byte."""
    value = repr(record.value).encode() if values.as_text(record.value) is None else record.value
    facts = [f"{name:<{_NAMES}}{shown}" for name, shown in _facts(record)]
    return b"\n".join([f"key      {record.key.display()}".encode(), b"value    " + value, *map(str.encode, facts), b""])


def _facts(record: Record) -> list[tuple[str, str]]:
    expires = [("expires", figures.timestamp(record.expires_at_ms))] if record.expires_at_ms else []
    return [("etag", str(record.etag)), ("written", figures.timestamp(record.written_at_ms)), *expires]


def _write(content: bytes) -> None:
    """Writes bytes to standard output unchanged."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _content(value: str | None, file: Path | None) -> bytes:
    if (value is None) == (file is None):
        raise CliError("give the value once", "as an argument, as - for standard input, or with --file PATH", USAGE)
    if file is not None:
        with file.open("rb") as stream:
            return _read(stream)
    return _read(sys.stdin.buffer) if value == "-" else str(value).encode()


def _read(stream: BinaryIO) -> bytes:
    """The content of a stream, but at most one byte above the limit, which the client then refuses."""
    return stream.read(limits.MAX_VALUE_BYTES + 1)
