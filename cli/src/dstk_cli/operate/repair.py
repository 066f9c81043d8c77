"""`dstk partitions repair`: compares replicas, rebuilds those that differ, or forces a primary."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from dstk.v1 import admin_pb2
from dstk_cli import console
from dstk_cli.cluster import OperatorClient
from dstk_cli.errors import FAILED
from dstk_cli.messages import as_json
from dstk_cli.operate import partition_view, repair_view
from dstk_cli.operate.command_group import OPERATE_TIMEOUT, Id
from dstk_cli.options import Apply
from dstk_cli.progress import shown
from dstk_cli.session import Session, connected
from dstk_cli.untrusted import as_markup
from dstk_client.admin import REPAIR_SECONDS
from dstk_service import admin_requests


@connected(OPERATE_TIMEOUT)
async def repair(
    session: Session,
    number: Id,
    force_primary: Annotated[
        str | None,
        typer.Option(
            "--force-primary",
            metavar="NODE",
            help="Make its replica the primary: all replicas in sync are lost. Loses writes.",
        ),
    ] = None,
    apply: Apply = False,
) -> None:
    """Compares the replicas of a partition with its primary, record by record. --apply rebuilds those that differ.

    Exit code 0: all replicas are equal or being rebuilt. 1: a replica differs or could not be compared.
    """
    async with session.cluster() as cluster:
        if force_primary is not None:
            admin_requests.node(force_primary, "--force-primary")
            await _force(session, cluster, number, force_primary, apply=apply)
            return
        with shown(f"partition {number}: comparing replicas, for up to {REPAIR_SECONDS / 60:.0f} minutes"):
            answer = await cluster.repair(number, apply=apply)
    _show_comparison(session, number, answer, apply=apply)


async def _force(session: Session, cluster: OperatorClient, number: int, node: str, *, apply: bool) -> None:
    status, held = await asyncio.gather(cluster.partition(number), cluster.replicas())
    found = repair_view.candidates(status.partition, held.replicas, list(held.unreachable_nodes))
    chosen = repair_view.choose(found, node)
    lost = repair_view.losses(found, chosen)
    if not session.is_json:
        _show_candidates(found, chosen, lost)
    entry = await cluster.force_primary(number, node) if apply else status.partition
    known = {"replicas": list(map(asdict, found)), "losses": lost, "applied": apply}
    if session.is_json:
        session.show({**as_json(entry), "known": known})
    elif apply:
        partition_view.show_entry(session, entry, f"{node} is the primary of")
    else:
        console.note(f"[dim]nothing was changed; --apply makes {as_markup(node)} the primary[/]")


def _show_candidates(found: list[repair_view.Candidate], chosen: repair_view.Candidate, lost: list[str]) -> None:
    console.out().print(repair_view.candidates_table(found, chosen))
    for sentence in lost:
        console.out().print(f"[bold red]may be lost[/] {as_markup(sentence)}", soft_wrap=True)
    if not lost:
        console.out().print("no known write would be lost")
    if any(each.role == "primary" and each.whole for each in found):
        console.note("[yellow]the primary answers: there is no need to force another one, and the node would refuse[/]")


def _show_comparison(session: Session, number: int, answer: admin_pb2.RepairPartitionResponse, *, apply: bool) -> None:
    note = f"[dim]compared {answer.compared_records:,} records of the primary[/]"
    if not apply and any(each.differing for each in answer.replicas):
        note += f"\n[dim]nothing was changed; to rebuild what differs: dstk partitions repair {number} --apply[/]"
    session.show({"id": number, **as_json(answer)}, repair_view.comparison(answer), note=note)
    if not all(each.rebuild_started if each.differing else each.complete for each in answer.replicas):
        raise typer.Exit(FAILED)
