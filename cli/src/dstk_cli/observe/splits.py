"""`dstk splits`: where to cut a range for parallel work."""

from typing import Annotated, Any

import typer

from dstk.v1 import metrics_pb2
from dstk_cli.data import ranges, values
from dstk_cli.errors import USAGE, CliError
from dstk_cli.help import examples
from dstk_cli.messages import as_json, bounds
from dstk_cli.observe.service import OBSERVE_TIMEOUT, reach
from dstk_cli.session import Session, connected
from dstk_cli.tables import Columns, listing
from dstk_cli.untrusted import as_markup
from dstk_service.figures import counted, size
from dstk_service.metrics_requests import MAX_PIECE, MAX_PIECES

TABLE_LIMIT = 200
"""How many pieces the table shows; JSON has all."""

SPLITS_EXAMPLES = examples("""
  dstk splits --bytes 64MiB                   all records, in pieces of about 64 MiB
  dstk splits user: --records 100000          keys that begin with these bytes
  dstk splits --pieces 16 --across-partitions  16 pieces, however many partitions there are
  dstk splits --bytes 1GiB --output json | jq -r '.pieces[].start'
""")

Bytes = Annotated[str | None, typer.Option("--bytes", metavar="SIZE", help="Pieces of about this size, such as 64MiB.")]
Records = Annotated[
    int | None, typer.Option("--records", min=1, max=MAX_PIECE, help="Pieces of about so many records.")
]
Pieces = Annotated[int | None, typer.Option("--pieces", min=1, max=MAX_PIECES, help="About so many pieces.")]
Across = Annotated[
    bool, typer.Option("--across-partitions", help="A piece may have keys of several partitions, on several nodes.")
]


@connected(OBSERVE_TIMEOUT)
async def splits(
    session: Session,
    begin: ranges.PrefixArgument = None,
    prefix: ranges.Prefix = None,
    start: ranges.Start = None,
    end: ranges.End = None,
    size_: Bytes = None,
    records: Records = None,
    pieces: Pieces = None,
    across_partitions: Across = False,
) -> None:
    """Cut a range into pieces of about the same size, for parallel work. Give --bytes, --records or --pieces.

    A piece never crosses the border of a partition, unless --across-partitions is given, so that one node has all of it.
    """
    key_range = ranges.chosen_range(begin, prefix, start, end)
    asked = _asked(size_, records, pieces)
    async with reach(session.target()) as metrics:
        found = await metrics.split_points(key_range, **asked, across_partitions=across_partitions)
    shown = listing(_COLUMNS, enumerate(found[:TABLE_LIMIT], 1), spare=("node", "partition", "~size", "~records"))
    session.show({"pieces": list(map(as_json, found))}, shown, note=_note(len(found)))


def _asked(size_: str | None, records: int | None, pieces: int | None) -> dict[str, Any]:
    given = {"--bytes": size_, "--records": records, "--pieces": pieces}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        what = f"{' and '.join(chosen)} exclude each other" if chosen else "how large are the pieces?"
        raise CliError(what, "give one of --bytes 64MiB, --records 100000, --pieces 16", USAGE)
    if size_ is not None:
        return {"piece_bytes": values.parse_bytes("--bytes", size_, MAX_PIECE)}
    return {"piece_records": records or 0, "pieces": pieces or 0}


def _note(count: int) -> str:
    if count > TABLE_LIMIT:
        return f"[dim]{TABLE_LIMIT} of {counted(count, 'piece')}: --output json has all[/]"
    return f"[dim]{counted(count, 'piece')}[/]"


_COLUMNS: Columns[tuple[int, metrics_pb2.RangePiece]] = {
    ">": lambda piece: str(piece[0]),
    "start": lambda piece: as_markup(bounds(piece[1])[0]),
    "end": lambda piece: as_markup(bounds(piece[1])[1]),
    ">~records": lambda piece: f"{piece[1].records:,}",
    ">~size": lambda piece: size(piece[1].bytes),
    ">partition": lambda piece: str(piece[1].partition_id),
    "node": lambda piece: as_markup(piece[1].primary) or "-",
}
