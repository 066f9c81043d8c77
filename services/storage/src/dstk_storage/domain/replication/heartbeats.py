"""What two nodes tell each other in heartbeats: values without behaviour.

A heartbeat carries only the claims that changed since the last version that the other node has confirmed, so an idle pair of
nodes exchanges a few bytes, however many partitions the two share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dstk_keytypes import NodeId, PartitionId


class Claim(NamedTuple):
    """What a node says about a partition that the map gives to it. `leads`: it is the primary at this epoch. Otherwise it does
    not lead the partition at this epoch and never will: it has restarted or stepped down.
    """

    epoch: int
    leads: bool


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`session`: the sequence of versions that this message belongs to; another one begins when the sender restarts or the
    receiver has lost track. `claims`: what changed behind version `base` up to `version`; None: withdrawn. With base 0 they are
    all claims of the sender.
    """

    sender: NodeId
    session: int
    base: int = 0
    version: int = 0
    claims: Mapping[PartitionId, Claim | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeartbeatResponse:
    """`version`: the newest one that the responder knows of the session; 0: it has lost track, and needs all claims again.
    `refused`: the claims that it does not follow, each with the epoch that it has promised (0: it has no such replica, or
    cannot believe the epoch); and those that it follows without a whole replica, with the epoch of the claim.
    """

    session: int
    version: int
    refused: Mapping[PartitionId, int] = field(default_factory=dict)


def blocks(claim: Claim, refusal: int | None) -> bool:
    """Whether a refusal means that the claim is not followed."""
    return refusal is not None and (refusal == 0 or refusal > claim.epoch)
