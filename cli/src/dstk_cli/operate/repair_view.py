"""Repair of a partition: how its replicas differ, and what forcing a primary would lose."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.errors import USAGE, CliError
from dstk_cli.operate.partition_view import bounds, key_or_none
from dstk_cli.operate.tables import table
from dstk_cli.untrusted import as_markup
from dstk_doctor.replication import Position, in_order, position, shown

_RANGES_SHOWN = 5


def comparison_json(answer: admin_pb2.RepairPartitionResponse) -> list[dict[str, Any]]:
    """Returns one object for each replica that was compared with the primary's."""
    return [
        {
            "node": each.node,
            "complete": each.complete,
            "rebuild_started": each.rebuild_started,
            "differing": [{"start": key_or_none(part.start), "end": key_or_none(part.end)} for part in each.differing],
        }
        for each in answer.replicas
    ]


def comparison(answer: admin_pb2.RepairPartitionResponse) -> Table:
    """Returns a line for each key range that differs, and one for each replica that does not differ."""
    made = table("replica", "compared with the primary", "from", "to")
    for each in answer.replicas:
        for number, part in enumerate(each.differing[:_RANGES_SHOWN]):
            first = [as_markup(each.node), outcome(each)] if number == 0 else ["", ""]
            made.add_row(*first, *map(as_markup, bounds(part)))
        if not each.differing:
            made.add_row(as_markup(each.node), outcome(each), "", "")
        if len(each.differing) > _RANGES_SHOWN:
            made.add_row("", f"[dim]and {len(each.differing) - _RANGES_SHOWN} more: --output json[/]", "", "")
    return made


def outcome(each: admin_pb2.ReplicaComparison) -> str:
    """Formats the result for one replica."""
    if not each.differing:
        return "[green]equal[/]" if each.complete else "[yellow]could not be compared[/]"
    count = f"differs in {len(each.differing)} range{'s' if len(each.differing) > 1 else ''}"
    return f"[yellow]{count}; being rebuilt[/]" if each.rebuild_started else f"[bold red]{count}[/]"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A replica that could become the primary by force. `at` None: its node does not answer or has no replica."""

    node: str
    role: str
    at: Position | None
    whole: bool
    why_not: str


def candidates(
    entry: topology_pb2.Partition, replicas: Iterable[admin_pb2.ReplicaStatus], silent: Sequence[str]
) -> list[Candidate]:
    """Returns all replicas that the map or a node knows, the most recent position first. Pure."""
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
    problem = "is quarantined" if replica.quarantined else "is being rebuilt" if replica.needs_snapshot else ""
    return Candidate(name, role, position(replica), not problem, problem)


def role_of(entry: topology_pb2.Partition, node: str) -> str:
    """Returns the role of a node in a partition by the map."""
    if node == entry.primary:
        return "primary"
    if node in entry.in_sync:
        return "in sync"
    return "learner" if node in entry.replicas else "stray"


def choose(found: Sequence[Candidate], node: str) -> Candidate:
    """Returns the replica on the named node. Raises CliError if it cannot become the primary."""
    chosen = next((each for each in found if each.node == node), None)
    if chosen is None:
        have = ", ".join(each.node for each in found)
        raise CliError(f"{node!r} has no replica of this partition", f"known replicas: {have}", USAGE)
    if chosen.at is None or not chosen.whole:
        raise CliError(f"the replica on {node!r} cannot become the primary: it {chosen.why_not}", "name another one")
    return chosen


def losses(found: Sequence[Candidate], chosen: Candidate) -> list[str]:
    """Returns a sentence for each known loss if the chosen replica becomes the primary. Pure."""
    assert chosen.at is not None
    sentences = []
    for each in found:
        if each.node == chosen.node:
            continue
        if each.at is None and each.role in {"primary", "in sync"}:
            sentences.append(f"{each.node} ({each.role}) {each.why_not}: writes that only it has are lost")
        elif each.at is not None and each.at > chosen.at:
            sentences.append(f"{each.node} is ahead, at {shown(each.at)}: its later writes are lost")
    return sentences


def candidates_table(found: Sequence[Candidate], chosen: Candidate) -> Table:
    """Returns a table of the replicas; the chosen one is bold."""
    made = table("replica", "by the map", ">position", ">behind", "state")
    latest = max((each.at for each in found if each.at is not None), default=(0, 0))
    for each in found:
        where = ("-", "-") if each.at is None else (shown(each.at), behind(each.at, latest))
        state = f"[bold red]{as_markup(each.why_not)}[/]" if each.why_not else "[green]complete[/]"
        name = f"[bold]{as_markup(each.node)}[/]" if each.node == chosen.node else as_markup(each.node)
        made.add_row(name, each.role, *where, state)
    return made


def behind(at: Position, latest: Position) -> str:
    """Formats how far a position is behind the latest: in writes, or by its epoch."""
    if at[0] != latest[0]:
        return f"epoch {at[0]} of {latest[0]}"
    return f"{latest[1] - at[1]:,} writes" if latest[1] != at[1] else "-"


def candidates_json(found: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Returns the replicas as one object each."""
    return [
        {
            "node": each.node,
            "role": each.role,
            "position": list(each.at) if each.at else None,
            "whole": each.whole,
            "problem": each.why_not or None,
        }
        for each in found
    ]
