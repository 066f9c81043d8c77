"""Which replicas are right when they differ: what a majority of all replicas agrees on. Pure."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from dstk_keytypes import NodeId

Seen = Mapping[NodeId, Hashable]
"""What each replica that could be asked holds of one stretch of keys, all at one position."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Replicas that agree with a majority everywhere, and those that do not. No `good` one: nobody can tell who is right."""

    good: frozenset[NodeId]
    odd: frozenset[NodeId]


def judge(differing: Iterable[Seen], replicas: int) -> Verdict:
    """Of all stretches that differ together, since a replica that was copied from another one is no witness any more:
    `replicas` is how many the partition has, asked or not. A majority of those asked alone could be a minority.
    """
    nodes, good = frozenset[NodeId](), None
    for seen in differing:
        agreeing = _majority(seen, replicas)
        nodes |= frozenset(seen)
        good = agreeing if good is None else good & agreeing
    found = frozenset[NodeId]() if good is None else good
    return Verdict(found, nodes - found)


def _majority(seen: Seen, replicas: int) -> frozenset[NodeId]:
    most, count = max(Counter(seen.values()).items(), key=lambda item: item[1], default=(None, 0))
    if count * 2 <= replicas or count == 1:
        return frozenset()
    return frozenset(node for node, held in seen.items() if held == most)
