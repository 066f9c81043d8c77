"""How a line looks: one JSON object with names of the Elastic Common Schema, or text for people.

The JSON is python-json-logger's. ecs-logging would make the base fields too, but it nests, writes any `extra` under the name
that it comes with, and knows no registry; what is left of it is the ten lines of `add_fields`.
"""

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter
from typing_extensions import override

from dstk_service.logs import fields as names
from dstk_service.logs.actions import ACTIONS, SUCCESS
from dstk_service.logs.fields import FIELDS, FieldType, LogField
from dstk_service.logs.privacy import Redact, hide
from dstk_service.trace import current_trace

ECS: Final = "8.17.0"
"""The version of the Elastic Common Schema."""

_STANDARD: Final = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"])


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave as `extra`, without None."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD and value is not None}


def undeclared(record: logging.LogRecord) -> list[str]:
    """The keys of `extra` that the registry does not have."""
    return [key for key in extras(record) if key not in FIELDS]


class EcsFormatter(JsonFormatter):
    """Writes one JSON object. `known`: fields that every line has."""

    def __init__(self, known: Mapping[str, str], redact: Redact = hide) -> None:
        super().__init__()
        self.known = dict(known)
        self._redact = redact

    @override
    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        moment = datetime.fromtimestamp(record.created, UTC)
        log_data[names.TIMESTAMP] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        log_data[names.LEVEL] = record.levelname.lower()
        log_data[names.MESSAGE] = self._redact(record.getMessage())
        log_data |= {names.ECS_VERSION: ECS, names.LOGGER: record.name, names.PID: record.process, **self.known}
        log_data.update(_trace())
        given = extras(record)
        log_data.update(self._declared(given))
        if others := [f"{key}={value}" for key, value in given.items() if key not in FIELDS]:
            log_data[names.UNDECLARED] = [self._redact(each) for each in others]
        log_data.update(_event(given))
        log_data.update(self._exception(record))

    def _declared(self, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for key, value in given.items():
            field = FIELDS.get(key)
            if field is not None and not (field.is_private and self._redact is hide):
                yield field.name, self._written(field, value)

    def _written(self, field: LogField, value: Any) -> Any:
        if field.type is FieldType.TEXT:
            return self._redact(str(value))
        return round(value * field.factor) if field.factor != 1 else value

    def _exception(self, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
        if record.exc_info and (error := record.exc_info[1]) is not None:
            yield names.ERROR_TYPE, type(error).__qualname__
            yield names.ERROR_MESSAGE, self._redact(str(error))
            yield names.STACK_TRACE, self._redact(str(self.formatException(record.exc_info)))


def _trace() -> Iterator[tuple[str, str]]:
    """The trace that the work at hand is part of: lines are formatted where they are written."""
    if (context := current_trace()) is not None:
        yield FIELDS["trace_id"].name, context.trace_id.hex()
        yield FIELDS["span_id"].name, context.span_id.hex()


def _event(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if (action := ACTIONS.get(str(given.get("action")))) is not None:
        yield names.KIND, "event"
        yield names.CATEGORY, [action.category]
        yield names.TYPE, [action.type]
        yield FIELDS["outcome"].name, given.get("outcome", SUCCESS)


class TextFormatter(logging.Formatter):
    """Writes a line for people, with what the caller gave at its end."""

    def __init__(self, service: str, redact: Redact = hide) -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {service}: %(message)s")
        self._redact = redact

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        given = [f"{key}={value}" for key, value in extras(record).items() if not self._is_hidden(key)]
        return self._redact(" ".join((super().formatMessage(record), *given)))

    @override
    def formatException(self, ei: Any) -> str:
        return self._redact(super().formatException(ei))

    def _is_hidden(self, key: str) -> bool:
        return self._redact is hide and key in FIELDS and FIELDS[key].is_private
