"""Counts, sizes, durations and times as text."""

from datetime import UTC, datetime, timedelta

from dstk_keytypes import limits

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def size(count: float) -> str:
    """Formats bytes in the largest unit of which there is at least one: "0 B", "1.5 KiB", "12 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - the step between the units
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"  # noqa: PLR2004
        count /= 1024
    return f"{count:.1f} TiB"


def counted(count: int, what: str) -> str:
    """Formats a count with its noun: "1 record", "2,000 records"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def duration(seconds: float) -> str:
    """Formats seconds in the two largest units: "12 s", "3 min 5 s", "2 h 7 min", "4 d 2 h"."""
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    left, words = int(seconds), list[str]()
    for size_, unit in units:
        amount, left = divmod(left, size_)
        if amount or words:
            words.append(f"{amount} {unit}")
    return " ".join(words[:2]) or "0 s"


def timestamp(unix_ms: int) -> str:
    """Formats Unix milliseconds as an ISO time in UTC; a time that no record can have as the plain number."""
    if unix_ms > limits.MAX_EXPIRES_AT_MS:
        return f"{unix_ms} ms"
    return (_EPOCH + timedelta(milliseconds=unix_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
