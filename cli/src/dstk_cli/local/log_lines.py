"""Lines of a local cluster's logs: read, chosen, merged by time, and written for people."""

import heapq
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from dstk_service.logs.fields import FIELDS, LEVEL, MESSAGE, STACK_TRACE, TIMESTAMP

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_OF_ZAP: Final = {"warn": "warning", "dpanic": "critical", "panic": "critical", "fatal": "critical"}
"""Levels of etcd, Prometheus, Alertmanager and Jaeger that have other names there."""

_KEYS: Final = {field.name: key for key, field in [*FIELDS.items()][::-1]}
"""By name; of two keys of one name, the first."""
_ACTION, _PARTITION = FIELDS["action"].name, FIELDS["partition"].name


class Line(NamedTuple):
    """A line, in the order of time. `fields`: by the names that it has in the file."""

    time: str
    process: str
    level: str
    message: str
    fields: Mapping[str, Any]
    text: str
    """As it stands in the file."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which lines are wanted. `level`: the lowest; `partition`: None for all."""

    level: str = "debug"
    partition: int | None = None
    events: bool = False

    def takes(self, line: Line) -> bool:
        """Whether the line is wanted."""
        found = line.fields.get(_PARTITION)
        return (
            LEVELS.index(line.level) >= LEVELS.index(self.level)
            and (self.partition is None or self.partition in (found if isinstance(found, list) else [found]))
            and (not self.events or _ACTION in line.fields)
        )


def newest(logs: Mapping[str, Path], choice: Choice, count: int) -> list[Line]:
    """Returns the newest `count` lines of the processes' logs that are wanted, oldest first. Raises OSError."""
    chosen = [deque(filter(choice.takes, _read(name, log)), count) for name, log in logs.items()]
    return list(heapq.merge(*chosen, key=lambda line: line.time))[-count:]


def _read(name: str, log: Path) -> Iterator[Line]:
    """The lines of a log. One that is no JSON object, such as a crash, has the time of the line before it."""
    time = ""
    with log.open(errors="backslashreplace") as lines:
        for text in map(str.rstrip, lines):
            fields = _parsed(text)
            time = str(fields.get(TIMESTAMP) or fields.get("ts") or fields.get("time") or time)
            level = str(fields.get(LEVEL) or fields.get("level") or "info").lower()
            level = _OF_ZAP.get(level, level)
            message = str(fields.get(MESSAGE) or fields.get("msg") or text)
            yield Line(time, name, level if level in LEVELS else "info", message, fields, text)


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def written(line: Line, width: int) -> str:
    """The line for people. `width`: characters of the longest process name."""
    known = ((_KEYS[name], value) for name, value in line.fields.items() if name in _KEYS)
    given = (f"{key}={_value(key, value)}" for key, value in known)
    traced = line.fields.get(STACK_TRACE)
    head = f"{line.time[11:23]:12} {line.process:{width}} {line.level:7} {line.message}"
    return " ".join((head, *given)) + (f"\n{traced}" if traced else "")


def _value(key: str, value: Any) -> str:
    """The value in the unit that it was logged in."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    factor = FIELDS[key].factor
    return f"{value / factor:g}" if factor != 1 and isinstance(value, int) else str(value)


def width_of(lines: Iterable[Line]) -> int:
    """Characters of the longest process name."""
    return max((len(line.process) for line in lines), default=0)
