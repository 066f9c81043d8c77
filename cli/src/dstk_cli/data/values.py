"""Formats records, values and times for people, and parses durations."""

import codecs
import re
import shlex
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from rich.cells import cell_len, chop_cells, set_cell_size

from dstk_cli.data.indent import indented
from dstk_cli.errors import USAGE, CliError
from dstk_cli.untrusted import visible
from dstk_client import Record
from dstk_formats import dump
from dstk_keytypes import Ttl, limits
from dstk_keytypes.unseen import is_seen
from dstk_service import figures

_AMOUNT = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?)\s*([a-z]*)")
_UNITS_MS = {"": 1000, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

SIZES: Final = {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
"""Units of sizes in lower case, in bytes."""

_LONGEST_TTL_DAYS = limits.MAX_TTL_MS // 86_400_000


def as_json(record: Record, *, keys_only: bool = False) -> dict[str, Any]:
    """A record as a JSON object, as in a dump."""
    return {
        "key": record.key.display(),
        **({} if keys_only else dump.value_fields(record.value)),
        "etag": record.etag,
        "written_at": figures.timestamp(record.written_at_ms),
        "expires_at": figures.timestamp(record.expires_at_ms) if record.expires_at_ms else None,
    }


def as_text(value: bytes) -> str | None:
    """The value as text; None if it is not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def short(value: bytes, width: int = 200) -> str:
    """The value on one line, cut after `width` characters."""
    try:
        # the decoder drops a character that the cut splits
        text = codecs.getincrementaldecoder("utf-8")().decode(value[: 4 * width])
    except UnicodeDecodeError:
        return _cut(repr(value[:width]), value, whole=len(value) <= width)
    shown = text[:width] if is_seen(text) else visible(repr(text[:width]))
    return _cut(shown, value, whole=len(text) <= width and len(value) <= 4 * width)


def _cut(shown: str, value: bytes, *, whole: bool) -> str:
    return shown if whole else f"{shown}... ({len(value):,} bytes)"


def pretty(value: bytes) -> str:
    """The complete value for a terminal: JSON indented, other text unchanged, bytes as a Python literal."""
    text = as_text(value)
    return repr(value) if text is None else visible(indented(text), keep="\n")


def fitted(shown: str, width: int) -> str:
    """One line of text in at most `width` terminal cells; cut text ends with an ellipsis."""
    return shown if cell_len(shown) <= width else set_cell_size(shown, max(0, width - 1)) + "…"


def folded(text: str, width: int, *, indent: int) -> str:
    """The text with lines of at most `width` cells; all lines but the first are indented."""
    lines = (piece for line in text.split("\n") for piece in _pieces(line, width))
    return ("\n" + " " * indent).join(lines)


def _pieces(line: str, width: int) -> list[str]:
    if line.isascii():
        return [line[at : at + width] for at in range(0, len(line), width)] or [""]
    return chop_cells(line, width)


def for_shell(text: str) -> str:
    """The text as one word of a POSIX shell, in double quotes if that is easier to read."""
    return f'"{text}"' if "'" in text and not set(text) & set('"$`\\!') else shlex.quote(text)


def amount(text: str, units: Mapping[str, int]) -> Fraction | None:
    """Parses a number with one of the units, such as "1.5h": the exact product, or None if it is not of that form."""
    match = _AMOUNT.fullmatch(text.strip())
    return None if match is None or match[2] not in units else Fraction(match[1]) * units[match[2]]


def parse_bytes(option: str, text: str, most: int) -> int:
    """Parses "1000", "64MiB" or "1.5GiB". Raises CliError, also for what is not a whole number of bytes in 1..`most`."""
    size = amount(text.lower(), {"": 1, "b": 1, **SIZES})
    if size is None:
        raise CliError(f"{option} {text[:50]!r} is not a size", "give bytes, or 512KiB, 64MiB, 1.5GiB", USAGE)
    if size.denominator != 1 or not 1 <= size <= most:
        limit = f"give a whole number of bytes in 1..{most} ({figures.size(most)})"
        raise CliError(f"{option} {text[:50]!r} is out of bounds", limit, USAGE)
    return int(size)


def parse_duration(option: str, text: str, most_ms: int) -> int:
    """Parses "90", "90s", "5m", "2h" or "7d" to milliseconds. Raises CliError, also for what is not in 1 ms..`most_ms`."""
    milliseconds = amount(text, _UNITS_MS)
    most = f"at most {figures.duration(most_ms / 1000)}"
    if milliseconds is None:
        raise CliError(f"{option} {text[:50]!r} is not a duration", f"give 30m, 2h, 7d; {most}", USAGE)
    if not 1 <= milliseconds <= most_ms:
        raise CliError(f"{option} {text[:50]!r} is out of bounds", f"give {most}, and more than nothing", USAGE)
    return int(milliseconds)


def parse_ttl(text: str) -> Ttl:
    """Parses "90", "90s", "500ms", "5m", "2h" or "7d". Raises CliError, or InvalidTtl if it is out of bounds."""
    milliseconds = amount(text, _UNITS_MS)
    if milliseconds is None:
        hint = f"give seconds, or 500ms, 90s, 5m, 2h, 7d; at most {_LONGEST_TTL_DAYS} days"
        raise CliError(f"--ttl {text[:50]!r} is not a duration", hint, USAGE)
    if milliseconds.denominator != 1:
        raise CliError(f"--ttl {text!r} is not a whole number of milliseconds", "give 2ms instead of 1.5ms", USAGE)
    return Ttl(int(milliseconds))
