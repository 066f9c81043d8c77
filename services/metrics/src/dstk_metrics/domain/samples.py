"""Sampled keys of partitions that are hot, or nearly: those of their last reports."""

from collections.abc import Sequence

KEPT_REPORTS = 5
"""As many as the median of the load is of."""
ENOUGH = 256
"""So many keys of a partition say what is asked most: those of older reports are not needed."""

Keys = Sequence[bytes]
Sampled = tuple[Keys, ...]
"""Keys by report, newest first."""

NONE: Sampled = ()


def kept(before: Sampled, keys: Keys) -> Sampled:
    """The samples with those that have just arrived, and as many of the older ones as are of use."""
    reports, count = [keys], len(keys)
    for older in before[: KEPT_REPORTS - 1]:
        if count >= ENOUGH:
            break
        reports.append(older)
        count += len(older)
    return tuple(reports)


def within(keys: Keys, start: bytes, end: bytes) -> list[bytes]:
    """The keys that lie in a range; an end of b"": no end."""
    return [key for key in keys if start <= key and (not end or key < end)]
