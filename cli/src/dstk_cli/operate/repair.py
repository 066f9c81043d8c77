"""`dstk partitions repair`: compares replicas, rebuilds those that differ, or forces a primary."""

import asyncio
from typing import Annotated

import typer

from dstk.v1 import admin_pb2
from dstk_cli import console
from dstk_cli.connected import Connection, connected
from dstk_cli.errors import FAILED
from dstk_cli.operate import partition_view, repair_view
from dstk_cli.operate.cluster import OperatorClient, reach
from dstk_cli.operate.command_group import OPERATE_TIMEOUT, Id
from dstk_cli.operate.progress import shown
from dstk_cli.options import Apply, Output, OutputFormat
from dstk_cli.untrusted import as_markup
from dstk_client.admin import REPAIR_SECONDS
from dstk_service import admin_requests


@connected(OPERATE_TIMEOUT)
async def repair(
    connection: Connection,
    *,
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
    output: Output = OutputFormat.TABLE,
) -> None:
    """Compares the replicas of a partition with its primary, record by record. --apply rebuilds those that differ.

    Exit code 0: all replicas are equal or being rebuilt. 1: a replica differs or could not be compared.
    """
    async with reach(connection.target()) as cluster:
        if force_primary is not None:
            admin_requests.node(force_primary, "--force-primary")
            await _force(cluster, number, force_primary, output, apply=apply)
            return
        with shown(f"partition {number}: comparing replicas, for up to {REPAIR_SECONDS / 60:.0f} minutes"):
            answer = await cluster.repair(number, apply=apply)
    _show_comparison(number, answer, output, apply=apply)


async def _force(cluster: OperatorClient, number: int, node: str, output: OutputFormat, *, apply: bool) -> None:
    status, held = await asyncio.gather(cluster.partition(number), cluster.replicas())
    found = repair_view.candidates(status.partition, held.replicas, list(held.unreachable_nodes))
    chosen = repair_view.choose(found, node)
    lost = repair_view.losses(found, chosen)
    if output is OutputFormat.TABLE:
        _show_candidates(found, chosen, lost)
    entry = await cluster.force_primary(number, node) if apply else status.partition
    if output is OutputFormat.JSON:
        known = {"replicas": repair_view.candidates_json(found), "losses": lost, "applied": apply}
        console.json_line({**partition_view.entry_json(entry), "known": known})
    elif apply:
        partition_view.show_entry(entry, output, f"{node} is the primary of")
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


def _show_comparison(
    number: int, answer: admin_pb2.RepairPartitionResponse, output: OutputFormat, *, apply: bool
) -> None:
    differing = [each for each in answer.replicas if each.differing]
    if output is OutputFormat.JSON:
        replicas = repair_view.comparison_json(answer)
        console.json_line({"id": number, "compared_records": answer.compared_records, "replicas": replicas})
    else:
        console.out().print(repair_view.comparison(answer))
        console.note(f"[dim]compared {answer.compared_records:,} records of the primary[/]")
        if differing and not apply:
            console.note(
                f"[dim]nothing was changed; to rebuild what differs: dstk partitions repair {number} --apply[/]"
            )
    settled = all(each.rebuild_started if each.differing else each.complete for each in answer.replicas)
    if not settled:
        raise typer.Exit(FAILED)
