"""The last comparison of a partition's replicas, kept with the partition by the node that made it."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Outcome(StrEnum):
    """What a comparison has found."""

    EQUAL = "equal"
    QUARANTINED = "quarantined"
    """Replicas differed from the majority, and are rebuilt."""
    UNDECIDED = "undecided"
    """Replicas differ, and no majority agrees: nothing was changed."""
    INCOMPLETE = "incomplete"
    """Nothing differed, but not every replica could be compared everywhere."""


@dataclass(frozen=True, slots=True)
class Compared:
    """When it ended, in Unix ms; `nodes`: those that differed, or could not be compared."""

    at_ms: int
    outcome: Outcome
    records: int
    nodes: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        """JSON, so that people can read a data directory."""
        return json.dumps([self.at_ms, self.outcome, self.records, self.nodes]).encode()

    @classmethod
    def decoded(cls, raw: bytes) -> Self:
        """The reverse of `encoded`."""
        at_ms, outcome, records, nodes = json.loads(raw)
        return cls(int(at_ms), Outcome(outcome), int(records), tuple(nodes))
