"""Sampled keys of a partition: those of its last reports."""

from collections.abc import Sequence

KEPT_REPORTS = 5
"""As many as the median of the load is of."""

Keys = Sequence[bytes]
Sampled = tuple[tuple[float, Keys], ...]
"""Keys by the monotonic time at which they arrived, newest first."""

NONE: Sampled = ()


def kept(before: Sampled, keys: Keys, now: float) -> Sampled:
    """The samples with those that have just arrived, without the oldest."""
    return ((now, keys), *before[: KEPT_REPORTS - 1])


def since(sampled: Sampled, earliest: float) -> list[bytes]:
    """The keys that arrived at `earliest` or later."""
    return [key for at, keys in sampled if at >= earliest for key in keys]
