"""`dstk nodes compact`: frees the disk space of deleted records now."""

from typing import Annotated

import typer

from dstk.v1 import admin_pb2
from dstk_cli.cluster import OperatorClient
from dstk_cli.data.ranges import scan_range
from dstk_cli.errors import USAGE, CliError
from dstk_cli.operate.command_group import OPERATE_TIMEOUT
from dstk_cli.options import partition_id
from dstk_cli.progress import shown
from dstk_cli.session import Session, connected
from dstk_cli.untrusted import as_markup
from dstk_keytypes import KeyRange
from dstk_service import admin_requests, figures


@connected(OPERATE_TIMEOUT)
async def compact(
    session: Session,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Node id, as `dstk nodes` shows it.")],
    partition: Annotated[
        int | None, typer.Option("--partition", metavar="ID", parser=partition_id, help="Compact only this partition.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="KEY", help="Compact only keys from this one on.")
    ] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="KEY", help="Compact only keys below this one.")] = None,
) -> None:
    """Frees the disk space of a node's deleted and expired records now, instead of in the background over time.

    Works in pieces while the node serves. Ctrl-C ends it after the current piece. Compacts only this node.
    """
    admin_requests.node(node)
    if partition is not None and (start or end):
        raise CliError("--partition excludes --start and --end", "leave out one of them", USAGE)
    wanted = scan_range(None, start, end)
    async with session.cluster() as cluster:
        if partition is not None:
            found = (await cluster.partition(partition)).partition
            wanted = KeyRange(found.start, found.end or None)
        before, after = await _compacted(cluster, node, wanted)
    sizes = f"~{figures.size(before)} before, ~{figures.size(after)} after"
    text = f"[green]compacted[/] [bold]{as_markup(node)}[/]: {sizes}; {figures.size(max(0, before - after))} freed"
    session.show({"node": node, "bytes_before": before, "bytes_after": after}, text)


async def _compacted(cluster: OperatorClient, node: str, wanted: KeyRange) -> tuple[int, int]:
    """Returns the bytes on disk of the compacted range, before and after."""
    before = after = 0
    answer = admin_pb2.CompactNodeResponse()
    with shown(f"{node}: compacting") as show:
        while not answer.done:
            answer = _checked(await cluster.compact(node, wanted, answer.resume), answer.resume)
            before, after = before + answer.bytes_before, after + answer.bytes_after
            show(f"{node}: {figures.size(answer.bytes_left)} left", before, before + answer.bytes_left)
    return before, after


def _checked(answer: admin_pb2.CompactNodeResponse, asked: bytes) -> admin_pb2.CompactNodeResponse:
    """Returns the response. Raises CliError if it does not advance, which would make the loop endless."""
    if not answer.done and answer.resume <= asked:
        raise CliError(
            "the compaction does not advance, so it was stopped", "check that the node runs this version of DSTK"
        )
    return answer
