"""A partition whose replicas differ, or whose in-sync set is lost: what each has, and what would be lost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.errors import USAGE, CliError
from dstk_cli.operate.replication import Position, in_order, position, shown
from dstk_cli.operate.tables import table
from dstk_cli.operate.view import bounds, key_or_none
from dstk_cli.untrusted import as_markup

_RANGES_SHOWN = 5


def comparison_json(answer: admin_pb2.RepairPartitionResponse) -> list[dict[str, Any]]:
    """Each replica beside its primary's."""
    return [
        {
            "node": each.node,
            "complete": each.complete,
            "rebuild_begun": each.rebuild_begun,
            "differing": [
                {"start": key_or_none(stretch.start), "end": key_or_none(stretch.end)} for stretch in each.differing
            ],
        }
        for each in answer.replicas
    ]


def comparison(answer: admin_pb2.RepairPartitionResponse) -> Table:
    """A line for each stretch of keys that differs, and one for each replica that does not."""
    made = table("replica", "compared with the primary's", "from", "to")
    for each in answer.replicas:
        for number, stretch in enumerate(each.differing[:_RANGES_SHOWN]):
            first = [as_markup(each.node), outcome(each)] if number == 0 else ["", ""]
            made.add_row(*first, *map(as_markup, bounds(stretch)))
        if not each.differing:
            made.add_row(as_markup(each.node), outcome(each), "", "")
        if len(each.differing) > _RANGES_SHOWN:
            made.add_row("", f"[dim]and {len(each.differing) - _RANGES_SHOWN} more: --output json[/]", "", "")
    return made


def outcome(each: admin_pb2.ReplicaComparison) -> str:
    """What became of one replica."""
    if not each.differing:
        return "[green]equal[/]" if each.complete else "[yellow]could not be compared[/]"
    count = f"differs in {len(each.differing)} range{'s' if len(each.differing) > 1 else ''}"
    return f"[yellow]{count}; its rebuild has begun[/]" if each.rebuild_begun else f"[bold red]{count}[/]"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A replica that could be taken for the truth. `at` None: its node does not answer, or has none."""

    node: str
    role: str
    at: Position | None
    whole: bool
    why_not: str


def candidates(
    entry: topology_pb2.Partition, replicas: Iterable[admin_pb2.ReplicaStatus], silent: Sequence[str]
) -> list[Candidate]:
    """Every replica that the map knows, and every other one that a node has; the furthest first. Pure."""
    told = {replica.node: replica for replica in replicas if replica.partition_id == entry.id}
    names = [*in_order(entry), *sorted(set(told) - set(entry.replicas))]
    found = [_candidate(entry, name, told.get(name), name in silent) for name in dict.fromkeys(names)]
    return sorted(found, key=lambda each: (each.at is None, not each.whole, *(-part for part in each.at or (0, 0))))


def _candidate(
    entry: topology_pb2.Partition, name: str, replica: admin_pb2.ReplicaStatus | None, is_silent: bool
) -> Candidate:
    role = role_of(entry, name)
    if replica is None:
        return Candidate(name, role, None, False, "does not answer" if is_silent else "has no replica on its disk")
    trouble = "quarantined" if replica.quarantined else "is being copied, no whole" if replica.rebuilding else ""
    return Candidate(name, role, position(replica), not trouble, trouble)


def role_of(entry: topology_pb2.Partition, node: str) -> str:
    """What a node is to a partition by the map."""
    if node == entry.primary:
        return "primary"
    if node in entry.in_sync:
        return "in sync"
    return "learner" if node in entry.replicas else "stray"


def choose(found: Sequence[Candidate], node: str) -> Candidate:
    """The replica that was named. Raises CliError when it cannot be taken."""
    chosen = next((each for each in found if each.node == node), None)
    if chosen is None:
        have = ", ".join(each.node for each in found)
        raise CliError(f"{node!r} has no replica of this partition", f"known are: {have}", USAGE)
    if chosen.at is None or not chosen.whole:
        raise CliError(f"the replica on {node!r} cannot be taken: it {chosen.why_not}", "name another one")
    return chosen


def losses(found: Sequence[Candidate], chosen: Candidate) -> list[str]:
    """What may be lost by taking one replica for the truth, a sentence each; none: nothing that is known. Pure."""
    assert chosen.at is not None
    sentences = []
    for each in found:
        if each.node == chosen.node:
            continue
        if each.at is None and each.role in {"primary", "in sync"}:
            sentences.append(f"{each.node} ({each.role}) {each.why_not}: writes that only it has are lost for good")
        elif each.at is not None and each.at > chosen.at:
            sentences.append(f"{each.node} stands further, at {shown(each.at)}: what lies between is lost for good")
    return sentences


def candidates_table(found: Sequence[Candidate], chosen: Candidate) -> Table:
    """What each replica has."""
    made = table("replica", "by the map", ">position", ">behind the furthest", "state")
    furthest = max((each.at for each in found if each.at is not None), default=(0, 0))
    for each in found:
        where = ("-", "-") if each.at is None else (shown(each.at), behind(each.at, furthest))
        state = f"[bold red]{as_markup(each.why_not)}[/]" if each.why_not else "[green]whole[/]"
        name = f"[bold]{as_markup(each.node)}[/]" if each.node == chosen.node else as_markup(each.node)
        made.add_row(name, each.role, *where, state)
    return made


def behind(at: Position, furthest: Position) -> str:
    """How many writes, or that an epoch lies between."""
    if at[0] != furthest[0]:
        return f"epoch {at[0]} of {furthest[0]}"
    return f"{furthest[1] - at[1]:,} writes" if furthest[1] != at[1] else "-"


def candidates_json(found: Sequence[Candidate]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "node": each.node,
            "role": each.role,
            "position": list(each.at) if each.at else None,
            "whole": each.whole,
            "trouble": each.why_not,
        }
        for each in found
    ]
