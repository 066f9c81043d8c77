"""`dstk partitions`: lists the partitions and changes the map by hand."""

import asyncio
from typing import Annotated, Any

import typer

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.cluster import OperatorClient
from dstk_cli.errors import USAGE, CliError
from dstk_cli.help import examples
from dstk_cli.messages import as_json
from dstk_cli.operate import partition_detail, partition_view
from dstk_cli.operate.command_group import OPERATE_TIMEOUT, Id, group
from dstk_cli.operate.repair import repair
from dstk_cli.operate.replica_move import Move, Mover
from dstk_cli.options import partition_id
from dstk_cli.session import Session, connected
from dstk_cli.untrusted import as_markup
from dstk_doctor.replication import wanted
from dstk_keytypes import Key
from dstk_service import admin_requests
from dstk_service.errors import DstkError

WANTED_SECONDS = 3.0
"""Time limit for reading how many replicas there should be. A router waits 2 s for a silent node."""

MaybeId = Annotated[
    int | None, typer.Argument(metavar="ID", parser=partition_id, help="The partition.", show_default=False)
]

_HELP = """
Partitions: key ranges and their replicas. Without a command: lists them.

The controller manages partitions by itself. It does not undo what is done here by hand.
"""
_EXAMPLES = examples("""
  dstk partitions                                   (in parentheses): not in sync
  dstk partitions show 7                            all replicas of one
  dstk partitions split 7                           in the middle of its bytes
  dstk partitions split 7 --by-load                 or of its operations
  dstk partitions split --at '("city","FR")'        at a key
  dstk partitions merge 8                           into its lower neighbour
  dstk partitions move 7 --from storage-1 --to storage-4
  dstk partitions transfer 7 --to storage-2         no request fails
  dstk partitions repair 7                          compare; --apply rebuilds
  dstk partitions repair 7 --force-primary storage-2  show the loss
""")

app = group(_HELP, _EXAMPLES)


@app.command("list")
@connected()
async def list_(
    session: Session,
) -> None:
    """Lists the partitions: key range, replicas, estimated size, operations since the start of the primary's process."""
    async with session.cluster() as cluster:
        answer, aim = await asyncio.gather(cluster.partitions(), _wanted(cluster))
    listed, silent = list(map(partition_view.partition_json, answer.partitions)), list(answer.unreachable_nodes)
    session.show(
        {"partitions": listed, "unreachable_nodes": silent},
        partition_view.partitions(answer.partitions, aim),
        note=f"[yellow]no answer from: {as_markup(', '.join(silent))}[/]" if silent else "",
    )


@app.command()
@connected()
async def show(
    session: Session,
    number: MaybeId = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="The partition that holds this key.")] = None,
) -> None:
    """Shows one partition in detail: each replica as the map, the primary and its own node report it."""
    _one_of("ID", number, "--key", key)
    where = None if key is None else Key.parse(key)
    async with session.cluster() as cluster:
        chosen = number if where is None else _at(await cluster.entries(), where)
        detail = await _detail(cluster, chosen or 0)
    tables = partition_detail.fields(detail), "", partition_detail.replica_table(detail)
    session.show(partition_detail.detail_json(detail), *tables)


@app.command()
@connected(OPERATE_TIMEOUT)
async def split(
    session: Session,
    number: MaybeId = None,
    at: Annotated[str | None, typer.Option(metavar="KEY", help="The key at which the upper half begins.")] = None,
    by_load: Annotated[
        bool, typer.Option("--by-load", help="Split in the middle of the recent operations instead of the bytes.")
    ] = False,
) -> None:
    """Splits a partition in two, in its middle or at a key. Moves no data; no request fails."""
    _one_of("ID", number, "--at", at)
    if at is not None and by_load:
        raise CliError("--by-load excludes --at", "leave out one of them", USAGE)
    key = b"" if at is None else Key.parse(at)
    async with session.cluster() as cluster:
        answer = await cluster.split(at=key, partition_id=number or 0, by_load=by_load)
    _show_halves(session, answer)


@connected(OPERATE_TIMEOUT)
async def split_at(
    session: Session,
    at: Annotated[str, typer.Argument(metavar="KEY", help="The key at which the upper half begins.")],
) -> None:
    """Splits a partition in two at a key: the same as `dstk partitions split --at KEY`."""
    key = Key.parse(at)
    async with session.cluster() as cluster:
        answer = await cluster.split(at=key)
    _show_halves(session, answer)


@app.command()
@connected(OPERATE_TIMEOUT)
async def merge(
    session: Session,
    number: MaybeId = None,
    at: Annotated[str | None, typer.Option(metavar="KEY", help="The key at which the upper partition starts.")] = None,
) -> None:
    """Merges a partition into its lower neighbour. Both must have the same primary and the same replicas, all in sync."""
    _one_of("ID", number, "--at", at)
    key = None if at is None else Key.parse(at)
    async with session.cluster() as cluster:
        merged = await cluster.merge(await _start(cluster, number or 0) if key is None else key)
    partition_view.show_entry(session, merged, "merged into")


@app.command()
@connected(OPERATE_TIMEOUT)
async def move(
    session: Session,
    number: Id,
    source: Annotated[str, typer.Option("--from", metavar="NODE", help="The node to move the replica from.")],
    target: Annotated[str, typer.Option("--to", metavar="NODE", help="The node to move the replica to.")],
) -> None:
    """Moves a replica to another node: adds a new one, waits until it is in sync, then removes the old one.

    Repeat an interrupted move to resume it; the reverse move undoes it.
    """
    admin_requests.node(source, "--from")
    admin_requests.node(target, "--to")
    async with session.cluster() as cluster:
        entry = await Mover(cluster, Move(number, source, target)).run()
    partition_view.show_entry(session, entry, "moved")


@app.command()
@connected(OPERATE_TIMEOUT)
async def transfer(
    session: Session,
    number: Id,
    target: Annotated[
        str, typer.Option("--to", metavar="NODE", help="The new primary. Default: any other replica in sync.")
    ] = "",
) -> None:
    """Transfers the primary of a partition to another replica in sync. No request fails."""
    async with session.cluster() as cluster:
        entry = await cluster.transfer(number, target)
    partition_view.show_entry(session, entry, "transferred the primary of")


app.command()(repair)


async def _detail(cluster: OperatorClient, partition_id: int) -> partition_detail.PartitionDetail:
    status, held, aim = await asyncio.gather(cluster.partition(partition_id), cluster.replicas(), _wanted(cluster))
    own = [replica for replica in held.replicas if replica.partition_id == partition_id]
    return partition_detail.PartitionDetail(status, own, list(held.unreachable_nodes), aim)


async def _wanted(cluster: OperatorClient) -> int:
    """Returns how many replicas in sync each partition should have; 0 if unknown, so that the rest is shown anyway."""
    try:
        async with asyncio.timeout(WANTED_SECONDS):
            controller, nodes = await asyncio.gather(cluster.controller(), cluster.nodes())
    except (DstkError, TimeoutError):
        return 0
    return wanted(controller.settings, nodes)


async def _start(cluster: OperatorClient, partition_id: int) -> bytes:
    entry = (await cluster.partition(partition_id)).partition
    if not entry.start:
        raise CliError(
            f"partition {partition_id} is the first and has no lower neighbour", "name the upper partition", USAGE
        )
    return entry.start


def _show_halves(session: Session, answer: admin_pb2.SplitPartitionResponse) -> None:
    session.show(as_json(answer), partition_view.entries((answer.lower, answer.upper)))


def _at(entries: list[topology_pb2.Partition], key: bytes) -> int:
    for entry in entries:
        if entry.start <= key and (not entry.end or key < entry.end):
            return int(entry.id)
    raise CliError(f"no partition holds key {Key.unchecked(key).display()}", "`dstk doctor` shows what is wrong")


def _one_of(name: str, value: Any, other: str, other_value: Any) -> None:
    if (value is None) == (other_value is None):
        raise CliError(f"give either {name} or {other}", "`dstk partitions` shows ids and keys", USAGE)
