"""Who takes over a partition. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from dstk_keytypes import NodeId
from dstk_storage.domain.history import History, Position


@dataclass(frozen=True, slots=True)
class Vote:
    """What an in-sync replica answers to a candidate. `claims`: it holds itself for the primary, and lives."""

    position: Position
    promised: int
    claims: bool = False


@dataclass(frozen=True, slots=True)
class Takeover:
    """What the winner writes into etcd."""

    in_sync: tuple[NodeId, ...]


def decide(me: NodeId, mine: History, epoch: int, answers: Mapping[NodeId, Vote], primary: NodeId) -> Takeover | None:
    """Whether the candidate `me` may take the partition at `epoch`, given the in-sync replicas that answered; None: another
    one has the better right, or the primary lives.

    Every acknowledged write is on every in-sync replica, so any of them may take over; the one that has most goes first, since
    whoever has more than the winner must be rebuilt. Among equals the map's primary is first, for it has restarted and the
    other replicas need not change; then the smallest id.
    """
    if any(vote.claims or vote.promised > epoch for vote in answers.values()):
        return None
    ranking = {node: (vote.position, node == primary) for node, vote in answers.items()}
    own = (mine.position, me == primary)
    for node, rank in ranking.items():
        if rank > own or (rank == own and node < me):
            return None
    kept = [node for node, vote in answers.items() if mine.contains(vote.position)]
    return Takeover(tuple(sorted([me, *kept])))
