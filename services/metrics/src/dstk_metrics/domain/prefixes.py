"""What the keys of a sample have in common: the prefixes under which most of them lie."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

SHARE = 0.1
"""A prefix has more than this part of the sample."""
LEAST = 3
"""Fewer keys than this are chance."""
MOST = 0.8
"""Longer prefixes that have this part of a prefix's keys together stand in its place."""
FEW = 4
OUTSTANDING = 1.5
"""A longer prefix says something if it is one of FEW, or has so many times what it would have if the keys were spread evenly:
one of ten digits has a tenth of all keys.
"""


@dataclass(frozen=True, slots=True)
class Prefix:
    """`share`: part of the sample, 0..1. `is_key`: it is one key."""

    prefix: bytes
    share: float
    is_key: bool


def frequent(keys: Sequence[bytes], most: int) -> list[Prefix]:
    """At most so many prefixes that each have more than SHARE of the keys, most frequent first."""
    ordered = sorted(keys)
    found = [
        Prefix(prefix, count / len(ordered), is_key)
        for prefix, count, is_key in _found(ordered, len(ordered), names_itself=True)
        if prefix
    ]
    return sorted(found, key=lambda each: -each.share)[:most]


_Found = tuple[bytes, int, bool]
"""A prefix, how many keys have it, and whether it is one key."""


def _found(keys: Sequence[bytes], total: int, *, names_itself: bool) -> list[_Found]:
    """What there is to name among sorted keys. `names_itself`: also what all of them have in common."""
    if len(keys) < LEAST or len(keys) <= SHARE * total:
        return []
    if keys[0] == keys[-1]:
        return [(keys[0], len(keys), True)]
    common = _common(keys[0], keys[-1])
    groups = list(_groups(keys, len(common)))
    longer = list[_Found]()
    for group in groups:
        stands_out = len(groups) <= FEW or len(group) * len(groups) >= OUTSTANDING * len(keys)
        longer += _found(group, total, names_itself=stands_out)
    if names_itself and sum(count for _, count, _ in longer) < MOST * len(keys):
        return [(common, len(keys), False), *longer]
    return longer


def _common(first: bytes, last: bytes) -> bytes:
    """What two keys begin with alike."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return first[: sum(1 for _ in same)]


def _groups(keys: Sequence[bytes], length: int) -> Iterator[list[bytes]]:
    """Sorted keys by the byte that follows their first `length` bytes."""
    for _, group in groupby(keys, key=lambda key: key[length : length + 1]):
        yield list(group)
