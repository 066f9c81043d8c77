"""Lines of processes' logs, judged by the registry of log fields."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from dstk_service.logs.actions import ACTIONS
from dstk_service.logs.fields import UNDECLARED, FieldType, by_name

_FIELDS = by_name()
_IS: Final[Mapping[FieldType, Callable[[Any], bool]]] = {
    FieldType.KEYWORD: lambda value: isinstance(value, str),
    FieldType.TEXT: lambda value: isinstance(value, str),
    FieldType.DATE: lambda value: isinstance(value, str) and value.endswith("Z"),
    FieldType.LONG: lambda value: isinstance(value, int) and not isinstance(value, bool),
    FieldType.DOUBLE: lambda value: isinstance(value, float | int) and not isinstance(value, bool),
}
_ALWAYS = {"@timestamp", "log.level", "log.logger", "message", "ecs.version", "service.name", "service.version"}


def entries(log: str) -> list[dict[str, Any]]:
    """The lines of a log, each of which is one JSON object. Raises ValueError at one that is not."""
    return [json.loads(line) for line in log.splitlines()]


def misfits(entry: Mapping[str, Any]) -> Iterator[str]:
    """What of a line the registry does not allow: fields, types, actions, and what our own code adds undeclared."""
    for name, value in entry.items():
        field = _FIELDS.get(name)
        values = value if isinstance(value, list) else [value]
        if field is None:
            yield f"{name} is not declared"
        elif not all(map(_IS[field.type], values)):
            yield f"{name} is {value!r}, not of type {field.type}"
    if missing := _ALWAYS - entry.keys():
        yield f"without {sorted(missing)}"
    if entry.get("event.action", "split") not in ACTIONS:
        yield f"action {entry['event.action']!r} is not declared"
    if UNDECLARED in entry and entry["log.logger"].startswith("dstk_"):
        yield f"{entry['log.logger']} adds {entry[UNDECLARED]}"


KEPT = "DSTK_KEEP_LOGS"
"""The variable with the directory in which suites keep an example of each shape of line; `make observe` reads them."""


def check(name: str, log: str) -> None:
    """Raises AssertionError at the first line that the registry does not allow. Other text than JSON is of no interest."""
    examples: dict[tuple[object, ...], str] = {}
    for line in log.splitlines():
        entry = _parsed(line)
        if "log.level" in entry:
            assert not (wrong := list(misfits(entry))), f"{name}: {line}: {wrong}"
        examples.setdefault(_shape(line, entry), line)
    if directory := os.environ.get(KEPT):
        Path(directory).mkdir(parents=True, exist_ok=True)
        (Path(directory) / f"{name}-{uuid4().hex}.log").write_text("".join(f"{line}\n" for line in examples.values()))


def _parsed(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _shape(line: str, entry: Mapping[str, Any]) -> tuple[object, ...]:
    """What lines have in common that an index treats alike; of other text than JSON, how it begins."""
    kinds = tuple((name, type(value).__name__) for name, value in sorted(entry.items()))
    return (entry.get("log.logger"), entry.get("event.action"), *kinds) if entry else (line[:20],)


def record(text: str, *args: object, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    """Returns a line of the logger "dstk", as the logging module makes it."""
    return logging.getLogger("dstk").makeRecord("dstk", level, "f.py", 1, text, args, None, extra=extra)
