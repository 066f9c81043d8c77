"""The key range that a command is given: its options, and what they mean."""

from typing import Annotated

import typer

from dstk_cli.errors import USAGE, CliError
from dstk_keytypes import InvalidKey, Key, KeyRange

Prefix = Annotated[str | None, typer.Option("--prefix", "-p", metavar="KEY", help="Keys that begin like this.")]
PrefixArgument = Annotated[str | None, typer.Argument(metavar="PREFIX", help="The same as --prefix.")]
Start = Annotated[str | None, typer.Option("--start", metavar="KEY", help="First key, inclusive.")]
End = Annotated[str | None, typer.Option("--end", metavar="KEY", help="End of the keys, exclusive.")]


def chosen_range(argument: str | None, prefix: str | None, start: str | None, end: str | None) -> KeyRange:
    """As `scan_range`; the prefix may stand as an argument too. Raises CliError if it is given twice."""
    if argument is not None and prefix is not None:
        raise CliError(f"PREFIX {argument!r} and --prefix {prefix!r} have the same meaning", "give one of them", USAGE)
    return scan_range(argument if prefix is None else prefix, start, end)


def scan_range(prefix: str | None, start: str | None, end: str | None) -> KeyRange:
    """The keys with the prefix, from `start` (inclusive) to `end` (exclusive); None sets no bound.

    A prefix in tuple form covers all tuples that begin with its parts; any other prefix covers all keys that begin with its
    bytes. Raises InvalidKey, also for an empty text, since an unset variable in a script must not select everything; and
    InvalidRange if `start` is above `end`.
    """
    bounds = KeyRange(b"" if start is None else Key.parse(start), None if end is None else Key.parse(end))
    return bounds if prefix is None else _prefix(prefix).intersection(bounds)


def shown(key_range: KeyRange) -> str:
    """The range as text for people, without markup."""
    if not key_range.start and key_range.end is None:
        return "all keys"
    start = Key.unchecked(key_range.start).display() if key_range.start else "(first)"
    end = Key.unchecked(key_range.end).display() if key_range.end is not None else "(last)"
    return f"{start} .. {end}"


def _prefix(text: str) -> KeyRange:
    key = Key.parse(text)
    try:
        parts = key.parts()
    except InvalidKey:
        return KeyRange.prefix(key)
    return KeyRange.tuple_prefix(*parts) if text.lstrip().startswith("(") else KeyRange.prefix(key)
