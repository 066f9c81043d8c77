"""Until when a node may serve a partition as its primary."""

import math
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Lease:
    """The end of a lease, on the monotonic clock. All partitions that rest on the same followers share one object, so that
    one heartbeat response renews all of them.
    """

    end: float


FOR_EVER = Lease(math.inf)
"""The lease of a partition without followers."""
