"""The time that a command is asked for: --last, or --from and --to."""

import time
from dataclasses import dataclass
from datetime import datetime

from dstk_cli.data import values
from dstk_cli.errors import USAGE, CliError

MAX_MS = 10 * 365 * 86_400_000
"""Longer than any history."""


@dataclass(frozen=True, slots=True)
class Period:
    """Unix ms; 0 as in GetHistoryRequest: an hour before the end, and now."""

    from_ms: int
    to_ms: int


def chosen(last: str | None, begin: str | None, end: str | None) -> Period:
    """The period that the options name. Raises CliError."""
    if last is not None and begin is not None:
        raise CliError("--last and --from exclude each other", "give --last 2h, or --from TIME", USAGE)
    to_ms = 0 if end is None else _parsed("--to", end)
    if last is not None:
        return Period(max(1, (to_ms or _now_ms()) - values.parse_duration("--last", last, MAX_MS)), to_ms)
    from_ms = 0 if begin is None else _parsed("--from", begin)
    if from_ms >= (to_ms or _now_ms()):
        what = f"--to {end!r}" if end is not None else "now"
        raise CliError(f"--from {begin!r} is not earlier than {what}", "give an earlier time", USAGE)
    return Period(from_ms, to_ms)


def _parsed(option: str, text: str) -> int:
    try:
        milliseconds = round(datetime.fromisoformat(text.strip()).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        hint = "give it as 2026-11-27T08:30, in the time of this machine, or with its zone: 2026-11-27T08:30Z"
        raise CliError(f"{option} {text[:50]!r} is not a time", hint, USAGE) from None
    if milliseconds <= 0:
        raise CliError(f"{option} {text[:50]!r} is before 1970", "give a later time", USAGE)
    return milliseconds


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
