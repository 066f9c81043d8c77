"""Stretches: neighbouring partitions of a node without a gap, which one page of a scan reads."""

from bisect import bisect_left
from collections.abc import Sequence

from dstk_keytypes import KeyRange
from dstk_storage.domain import reads
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.reads import Page


def count_page(stretch: Sequence[Partition], page: Page, *, reverse: bool) -> None:
    """Counts each partition's share of a page. Its time is shared by the number of records."""
    keys, total = page.keys, len(page.keys)
    ascending = keys[::-1] if reverse else keys
    low = 0
    for partition in stretch:
        end = partition.range.end
        high = total if end is None else bisect_left(ascending, end, low)
        if high > low:
            part = slice(total - high, total - low) if reverse else slice(low, high)
            size = page.size if high - low == total else reads.size_of(page, part)
            seconds = page.seconds * (high - low) / total
            partition.activity.returned_page(keys[part.start], high - low, size, seconds)
        low = high


def behind(wanted: KeyRange, here: KeyRange, *, reverse: bool) -> bytes | None:
    """Where the scan leaves this node's stretch; None when `here` reaches the end of what is wanted."""
    if reverse:
        return here.start if here.start > wanted.start else None
    return here.end if here.end != wanted.end else None
