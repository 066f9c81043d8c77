"""Which keys a scan covers, from what was typed."""

from dstk_keytypes import InvalidKey, Key, KeyRange


def scan_range(prefix: str | None, start: str | None, end: str | None) -> KeyRange:
    """The keys with the prefix, from `start` on, below `end`; what is not given does not bound.

    A prefix in tuple form covers all tuples that begin with its parts, any other all keys that begin with its bytes.
    Raises `InvalidKey`, for an empty text too: an unset variable of a script must not mean everything; and `InvalidRange`
    when start lies above end.
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
