"""Why a process ended, from the end of its log: the one line that says it, which is often not the last one."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

NOTHING = "it said nothing"
_LONGEST = 500
_PLACES = ("level", "levelname", "ts", "timestamp", "caller", "stacktrace", "logger", "service", "taskName", "exc_info")
"""Fields of a structured line that say where and when, not what."""
_RANKS = {"panic": 3, "fatal": 3, "dpanic": 3, "critical": 3, "error": 2, "warn": 1, "warning": 1}
_OWN = re.compile(r"error: (.+)")
_GO = re.compile(r"((?:panic|fatal error|runtime): .+)")
_GO_FLAG = re.compile(r"(flag provided but not defined: .+|error verifying flags.*|invalid value .+)")
_PYTHON = re.compile(r"[\s|]*((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)(?:: .+)?)")


def of(log: str) -> str:
    """The line that says why the process with this log ended, without what surrounds it.

    Looked for in this order: an "error: ..." of ours, a panic or a structured line of the highest level of etcd, an exception
    of Python, the last line.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    kinds: Sequence[Callable[[list[str]], str]] = (_own, _panic, _fatal, _structured, _exception)
    found = next((words for kind in kinds if (words := kind(lines))), "") or _last_line(lines)
    return found if len(found) <= _LONGEST else f"{found[:_LONGEST]}..."


def _last_line(lines: list[str]) -> str:
    return (_told(_fields(lines[-1])) or lines[-1]) if lines else NOTHING


def _own(lines: list[str]) -> str:
    return _last(_OWN, lines)


def _panic(lines: list[str]) -> str:
    """The first of Go's: those after it are what came of it."""
    return next((match[1] for line in lines if (match := _GO.fullmatch(line) or _GO_FLAG.match(line))), "")


def _fatal(lines: list[str]) -> str:
    return _highest(lines, 3)


def _structured(lines: list[str]) -> str:
    return "" if _exception(lines) else _highest(lines, 1)


def _exception(lines: list[str]) -> str:
    """The exception that a traceback ends with."""
    begun = next((at for at, line in enumerate(lines) if "Traceback (most recent call last)" in line), None)
    return "" if begun is None else _first_after(lines[begun:])


def _first_after(lines: list[str]) -> str:
    """Of the first traceback, or of the innermost one of a group: what comes after it happened while it was told."""
    found = [match[1] for line in lines if (match := _PYTHON.fullmatch(line))]
    return next((words for words in found if "ExceptionGroup" not in words), "")


def _highest(lines: list[str], at_least: int) -> str:
    """The last of the structured lines with the highest rank."""
    ranked = [(rank, line) for line in map(_fields, lines) if (rank := _rank(line)) >= at_least]
    return _told(max(reversed(ranked), key=lambda each: each[0])[1]) if ranked else ""


def _fields(line: str) -> dict[str, Any]:
    if not line.startswith("{"):
        return {}
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _rank(fields: dict[str, Any]) -> int:
    return _RANKS.get(str(fields.get("level", fields.get("levelname", ""))).lower(), 0)


def _told(fields: dict[str, Any]) -> str:
    """Message, then error, then what else the line names."""
    told = dict(fields)
    message = str(told.pop("msg", "") or told.pop("message", ""))
    error = str(told.pop("error", ""))
    traced = _exception(str(fields.get("exc_info", "")).splitlines())
    rest = ", ".join(f"{name} {value}" for name, value in told.items() if name not in _PLACES)
    said = ": ".join(filter(None, (message, error or traced)))
    return f"{said} ({rest})" if rest else said


def _last(pattern: re.Pattern[str], lines: list[str]) -> str:
    return next((match[1] for line in reversed(lines) if (match := pattern.fullmatch(line))), "")
