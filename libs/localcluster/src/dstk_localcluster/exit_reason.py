"""Why a process ended: the one line of its log that says so, which is often not the last one."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

NOTHING = "it logged nothing"
_LONGEST = 500
_PLACES = (
    "level",
    "ts",
    "caller",
    "stacktrace",
    "@timestamp",
    "log.",
    "ecs.",
    "process.",
    "service.",
    "event.",
    "error.",
    "otelcol.",
)
"""How fields of a structured line begin that are about where and when, not about what."""
_ALSO_PLACES = ("time", "source", "resource")
"""Whole names of such fields, of Prometheus, Alertmanager and Jaeger."""
_RANKS = {"panic": 3, "fatal": 3, "dpanic": 3, "critical": 3, "error": 2, "warn": 1, "warning": 1}
_OWN = re.compile(r"error: (.+)")
_GO = re.compile(r"((?:panic|fatal error|runtime): .+)")
_GO_FLAG = re.compile(r"(flag provided but not defined: .+|error verifying flags.*|invalid value .+)")
_PYTHON = re.compile(r"[\s|]*((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)(?:: .+)?)")


def of(log: str) -> str:
    """Returns why the process with this log ended, at most 500 characters.

    Tries in this order: an "error: ..." of ours, a panic or a structured line of the highest level of a program in Go, a Python
    exception, the last line.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    kinds: Sequence[Callable[[list[str]], str]] = (_own, _panic, _fatal, _structured, _exception)
    found = next((words for kind in kinds if (words := kind(lines))), "") or _last_line(lines)
    return found if len(found) <= _LONGEST else f"{found[:_LONGEST]}..."


def _last_line(lines: list[str]) -> str:
    return (_text(_fields(lines[-1])) or lines[-1]) if lines else NOTHING


def _own(lines: list[str]) -> str:
    return _last(_OWN, lines)


def _panic(lines: list[str]) -> str:
    """The first panic of Go: the later ones are its consequences."""
    return next((match[1] for line in lines if (match := _GO.fullmatch(line) or _GO_FLAG.match(line))), "")


def _fatal(lines: list[str]) -> str:
    return _highest(lines, 3)


def _structured(lines: list[str]) -> str:
    return "" if _exception(lines) else _highest(lines, 1)


def _exception(lines: list[str]) -> str:
    """The exception at the end of the first traceback."""
    begun = next((at for at, line in enumerate(lines) if "Traceback (most recent call last)" in line), None)
    return "" if begun is None else _first_after(lines[begun:])


def _first_after(lines: list[str]) -> str:
    """The first exception that is no group: what follows it happened while it was logged."""
    found = [match[1] for line in lines if (match := _PYTHON.fullmatch(line))]
    return next((words for words in found if "ExceptionGroup" not in words), "")


def _highest(lines: list[str], at_least: int) -> str:
    """The last of the structured lines with the highest rank."""
    ranked = [(rank, line) for line in map(_fields, lines) if (rank := _rank(line)) >= at_least]
    return _text(max(reversed(ranked), key=lambda each: each[0])[1]) if ranked else ""


def _fields(line: str) -> dict[str, Any]:
    if not line.startswith("{"):
        return {}
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _rank(fields: dict[str, Any]) -> int:
    return _RANKS.get(str(fields.get("level", fields.get("log.level", ""))).lower(), 0)


def _text(fields: dict[str, Any]) -> str:
    """The message, then the error, then the other fields."""
    left = dict(fields)
    message = str(left.pop("msg", "") or left.pop("message", ""))
    error = str(left.pop("error", "") or left.pop("error.message", "") or left.pop("err", ""))
    kind = str(left.pop("error.type", ""))
    rest = ", ".join(f"{name} {value}" for name, value in left.items() if not _is_place(name))
    text = ": ".join(filter(None, (message, kind, error)))
    return f"{text} ({rest})" if rest else text


def _is_place(name: str) -> bool:
    return name in _ALSO_PLACES or name.startswith(_PLACES)


def _last(pattern: re.Pattern[str], lines: list[str]) -> str:
    return next((match[1] for line in reversed(lines) if (match := pattern.fullmatch(line))), "")
