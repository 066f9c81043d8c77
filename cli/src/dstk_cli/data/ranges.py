"""Parses the key range of a scan."""

from dstk_keytypes import InvalidKey, Key, KeyRange


def scan_range(prefix: str | None, start: str | None, end: str | None) -> KeyRange:
    """The keys with the prefix, from `start` (inclusive) to `end` (exclusive); None sets no bound.

    A prefix in tuple form covers all tuples that begin with its parts; any other prefix covers all keys that begin with its
    bytes. Raises InvalidKey, also for an empty text, since an unset variable in a script must not select everything; and
    InvalidRange if `start` is above `end`.
    """
    bounds = KeyRange(b"" if start is None else Key.parse(start), None if end is None else Key.parse(end))
    return bounds if prefix is None else _prefix(prefix).intersection(bounds)


def _prefix(text: str) -> KeyRange:
    key = Key.parse(text)
    try:
        parts = key.parts()
    except InvalidKey:
        return KeyRange.prefix(key)
    return KeyRange.tuple_prefix(*parts) if text.lstrip().startswith("(") else KeyRange.prefix(key)
