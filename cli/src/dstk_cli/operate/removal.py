"""The effects of removing a node: what it holds, and what only it holds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.cluster import OperatorClient
from dstk_cli.operate import partition_view
from dstk_cli.session import Session
from dstk_cli.untrusted import as_markup
from dstk_doctor.replication import held_by, only_on


@dataclass(frozen=True, slots=True)
class Removal:
    """The effects. `held`: partitions with a replica on the node. `last`: those whose only in-sync replica is there."""

    node: admin_pb2.NodeStatus
    held: Sequence[topology_pb2.Partition]
    last: Sequence[topology_pb2.Partition]


async def effects(cluster: OperatorClient, name: str) -> Removal:
    """Computes the effects of removing a node. Raises CliError for an unknown one."""
    status, entries = await asyncio.gather(cluster.node(name), cluster.entries())
    held = held_by(entries, name)
    return Removal(status, held, only_on(held, name))


def show(session: Session, found: Removal, *, applied: bool) -> None:
    """Prints the effects."""
    name = found.node.node.id
    held, last = ([entry.id for entry in entries] for entries in (found.held, found.last))
    table: list[RenderableType] = [partition_view.entries(found.held), ""] if held else []
    session.show(
        {"node": name, "alive": found.node.alive, "held": held, "only_there": last, "applied": applied},
        *table,
        *_sentences(found),
        *(["[green]removed[/]: the controller rebuilds its replicas elsewhere"] if applied else []),
        note=""
        if applied
        else "[dim]nothing was changed; --yes removes the node and rebuilds its replicas elsewhere[/]",
    )


def _sentences(found: Removal) -> list[str]:
    name = as_markup(found.node.node.id)
    alive = "[yellow]is alive[/]: `dstk nodes drain` is safer" if found.node.alive else "is gone"
    held = f"[bold]{name}[/] {alive}; it holds {len(found.held)} replicas by the map"
    if not found.last:
        return [held]
    last = (
        f"[bold red]no other replica in sync[/] of partition {', '.join(str(entry.id) for entry in found.last)}: they stay on "
        "this node. Start it again, or accept lost writes: `dstk partitions repair ID --force-primary NODE`"
    )
    return [held, last]
