"""Cuts a stretch of engine keys into two of about the same size, by LevelDB's approximate sizes.

The cut depends on the bounds and on what lies on disk alone, so that the same stretch is cut at the same key again.
"""

from dstk_keytypes.limits import MAX_KEY_BYTES
from dstk_storage.domain.measuring.sizes import Sizes, Stretch

WIDTH = 16
"""Bytes of a key, behind those that both bounds have in common, that a search looks at."""

STEPS = 40
"""Steps of a search between two bounds. Keys that are close together far from a bound need more: then the search goes on
between real keys, which have more in common.
"""

SMALLEST = 4
"""Each half has at least one of so many parts of the size."""


def halve(sizes: Sizes, whole: Stretch) -> tuple[Stretch, Stretch] | None:
    """The two halves; None: no key cuts it in two, such as where one record takes most of it. Blocks. Raises EngineError."""
    low, high = whole.start, whole.end
    while True:
        found = _search(sizes, whole, low, high)
        if isinstance(found, Stretch):
            return found, Stretch(found.end, whole.end, whole.size - found.size)
        closer = _real_bounds(sizes, *found)
        if closer is None or closer == (low, high):
            return None
        low, high = closer


def _search(sizes: Sizes, whole: Stretch, low: bytes, high: bytes) -> Stretch | tuple[bytes, bytes]:
    """The lower half, by a binary search between two keys; or closer bounds of where it ends."""
    prefix = _common_prefix(low, high)
    width = min(WIDTH, 1 + MAX_KEY_BYTES - len(prefix))
    lower, upper = (_number(key[len(prefix) :], width) for key in (low, high))
    for _ in range(STEPS):
        if upper - lower <= 1:
            break
        middle = (lower + upper) // 2
        key = prefix + middle.to_bytes(width, "big").rstrip(b"\0")
        below = sizes.between(whole.start, key)
        if below * SMALLEST < whole.size:
            lower, low = middle, key
        elif (whole.size - below) * SMALLEST < whole.size:
            upper, high = middle, key
        else:
            return Stretch(whole.start, key, below)
    return low, high


def _real_bounds(sizes: Sizes, low: bytes, high: bytes) -> tuple[bytes, bytes] | None:
    """The first and the last key between two; None: there are not two."""
    with sizes.engine.iterate(low, high, fill_cache=False) as pairs:
        first = next(pairs, None)
    with sizes.engine.iterate(low, high, reverse=True, fill_cache=False) as pairs:
        last = next(pairs, None)
    return None if first is None or last is None or first[0] == last[0] else (first[0], last[0])


def _number(key: bytes, width: int) -> int:
    return int.from_bytes(key[:width].ljust(width, b"\0"), "big")


def _common_prefix(low: bytes, high: bytes) -> bytes:
    differing = (at for at, (one, other) in enumerate(zip(low, high, strict=False)) if one != other)
    return low[: next(differing, min(len(low), len(high)))]
