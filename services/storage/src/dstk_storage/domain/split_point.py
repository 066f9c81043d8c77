"""Where to cut a partition in two."""

from collections.abc import Iterable

from dstk_keytypes import KeyRange
from dstk_storage.domain import layout
from dstk_storage.ports import Engine

WIDTH = 24
"""Leading bytes of a key that the search looks at: beyond them, keys are taken as they come."""

FEWEST_SAMPLES = 16


def by_size(engine: Engine, key_range: KeyRange) -> bytes | None:
    """A key with about half of the range's bytes below it; None: too few keys. Blocks; raises EngineError.

    A binary search by LevelDB's own approximate sizes, which reads no records; what was written lately does not count there,
    so a range that it finds empty is read instead.
    """
    total = engine.approximate_size(*layout.data_bounds(key_range))
    if not total:
        return _by_reading(engine, key_range)
    low, high = _number(key_range.start), _number(key_range.end) if key_range.end else 256**WIDTH
    while high - low > 1:
        middle = (low + high) // 2
        at = _key(middle)
        below = (
            engine.approximate_size(layout.DATA + key_range.start, layout.DATA + at) if key_range.contains(at) else 0
        )
        low, high = (middle, high) if below * 2 < total else (low, middle)
    return _first_inside(engine, key_range, _key(high))


def by_load(recent: Iterable[bytes], key_range: KeyRange) -> bytes | None:
    """The median of the recent keys; None: too few, or all equal."""
    keys = sorted(key for key in recent if key_range.contains(key))
    if len(keys) < FEWEST_SAMPLES:
        return None
    middle = keys[len(keys) // 2]
    return middle if middle > max(keys[0], key_range.start) else None


def _number(key: bytes) -> int:
    return int.from_bytes(key[:WIDTH].ljust(WIDTH, b"\0"), "big")


def _key(number: int) -> bytes:
    raw: bytes = min(number, 256**WIDTH - 1).to_bytes(WIDTH, "big")
    return raw.rstrip(b"\0")


def _first_inside(engine: Engine, key_range: KeyRange, at: bytes) -> bytes | None:
    """The first key from `at` on, if there is one below it as well."""
    if not key_range.contains(at):
        return _by_reading(engine, key_range)
    with engine.iterate(*layout.data_bounds(KeyRange(at, key_range.end)), fill_cache=False) as pairs:
        found = next(pairs, None)
    with engine.iterate(*layout.data_bounds(key_range), fill_cache=False) as pairs:
        first = next(pairs, None)
    if found is None or first is None or found[0] == first[0]:
        return _by_reading(engine, key_range)
    return found[0][1:]


def _by_reading(engine: Engine, key_range: KeyRange) -> bytes | None:
    with engine.iterate(*layout.data_bounds(key_range), fill_cache=False) as pairs:
        keys = [key[1:] for key, _ in pairs]
    return keys[len(keys) // 2] if len(keys) > 1 else None
