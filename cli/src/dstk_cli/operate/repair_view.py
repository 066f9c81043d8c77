"""Repair of a partition: how its replicas differ, and what forcing a primary would lose."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from rich.table import Table

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.errors import USAGE, CliError
from dstk_cli.messages import bounds
from dstk_cli.tables import Columns, listing, table
from dstk_cli.untrusted import as_markup
from dstk_doctor.replication import Position, in_order, position, shown

_RANGES_SHOWN = 5


def comparison(answer: admin_pb2.RepairPartitionResponse) -> Table:
    """Returns a line for each key range that differs, and one for each replica that does not differ."""
    made = table("replica", "compared with the primary", "from", "to")
    for each in answer.replicas:
        names = chain([(as_markup(each.node), outcome(each))], repeat(("", "")))
        for part in each.differing[:_RANGES_SHOWN]:
            made.add_row(*next(names), *map(as_markup, bounds(part)))
        if not each.differing:
            made.add_row(*next(names), "", "")
        if (left := len(each.differing) - _RANGES_SHOWN) > 0:
            made.add_row("", f"[dim]and {left} more: --output json[/]", "", "")
    return made


def outcome(each: admin_pb2.ReplicaComparison) -> str:
    """Formats the result for one replica."""
    if not each.differing:
        return "[green]equal[/]" if each.complete else "[yellow]could not be compared[/]"
    count = f"differs in {len(each.differing)} range{'s' if len(each.differing) > 1 else ''}"
    return f"[yellow]{count}; being rebuilt[/]" if each.rebuild_started else f"[bold red]{count}[/]"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A replica that could become the primary by force. `position` None: its node does not answer or has no replica."""

    node: str
    role: str
    position: Position | None
    whole: bool
    problem: str | None


def candidates(
    entry: topology_pb2.Partition, replicas: Iterable[admin_pb2.ReplicaStatus], silent: Sequence[str]
) -> list[Candidate]:
    """Returns all replicas that the map or a node knows, the most recent position first. Pure."""
    told = {replica.node: replica for replica in replicas if replica.partition_id == entry.id}
    names = [*in_order(entry), *sorted(set(told) - set(entry.replicas))]
    found = [_candidate(entry, name, told.get(name), name in silent) for name in dict.fromkeys(names)]
    return sorted(
        found, key=lambda each: (each.position is None, not each.whole, *(-part for part in each.position or (0, 0)))
    )


def _candidate(
    entry: topology_pb2.Partition, name: str, replica: admin_pb2.ReplicaStatus | None, is_silent: bool
) -> Candidate:
    role = role_of(entry, name)
    if replica is None:
        return Candidate(name, role, None, False, "does not answer" if is_silent else "has no replica on its disk")
    problem = "is quarantined" if replica.quarantined else "is being rebuilt" if replica.needs_snapshot else None
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
    if chosen.position is None or not chosen.whole:
        raise CliError(f"the replica on {node!r} cannot become the primary: it {chosen.problem}", "name another one")
    return chosen


def losses(found: Sequence[Candidate], chosen: Candidate) -> list[str]:
    """Returns a sentence for each known loss if the chosen replica becomes the primary. Pure."""
    assert chosen.position is not None
    sentences = []
    for each in found:
        if each.node == chosen.node:
            continue
        if each.position is None and each.role in {"primary", "in sync"}:
            sentences.append(f"{each.node} ({each.role}) {each.problem}: writes that only it has are lost")
        elif each.position is not None and each.position > chosen.position:
            sentences.append(f"{each.node} is ahead, at {shown(each.position)}: its later writes are lost")
    return sentences


def candidates_table(found: Sequence[Candidate], chosen: Candidate) -> Table:
    """Returns a table of the replicas; the chosen one is bold."""
    latest = max((each.position for each in found if each.position is not None), default=(0, 0))
    columns: Columns[Candidate] = {
        "replica": lambda each: f"[bold]{as_markup(each.node)}[/]" if each is chosen else as_markup(each.node),
        "by the map": lambda each: each.role,
        ">position": lambda each: "-" if each.position is None else shown(each.position),
        ">behind": lambda each: "-" if each.position is None else behind(each.position, latest),
        "state": lambda each: f"[bold red]{as_markup(each.problem)}[/]" if each.problem else "[green]complete[/]",
    }
    return listing(columns, found)


def behind(at: Position, latest: Position) -> str:
    """Formats how far a position is behind the latest: in writes, or by its epoch."""
    if at[0] != latest[0]:
        return f"epoch {at[0]} of {latest[0]}"
    return f"{latest[1] - at[1]:,} writes" if latest[1] != at[1] else "-"
