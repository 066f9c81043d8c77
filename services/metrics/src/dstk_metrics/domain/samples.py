"""Sampled keys of a partition: those of its last reports."""

from collections.abc import Sequence

KEPT_REPORTS = 5
"""As many as the median of the load is of."""

Keys = Sequence[bytes]
Sampled = tuple[Keys, ...]
"""Keys by report, newest first."""

NONE: Sampled = ()


def kept(before: Sampled, keys: Keys) -> Sampled:
    """The samples with those that have just arrived, without the oldest."""
    return (keys, *before[: KEPT_REPORTS - 1])


def newest(sampled: Sampled, enough: int) -> list[bytes]:
    """The keys of the last reports, of as many as it takes to have `enough`."""
    found = list[bytes]()
    for keys in sampled:
        found.extend(keys)
        if len(found) >= enough:
            break
    return found
