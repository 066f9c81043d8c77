"""The mapping of the data stream: each log field of the registry, and what the shippers add."""

from collections.abc import Iterable, Mapping
from typing import Any

from dstk_service.logs.fields import FieldType, LogField, by_name

SHIPPED = (
    LogField("agent.name", FieldType.KEYWORD, "Name of the Filebeat that read the line."),
    LogField("agent.type", FieldType.KEYWORD, "filebeat."),
    LogField("agent.version", FieldType.KEYWORD, "Its version."),
    LogField("container.id", FieldType.KEYWORD, "Id of the container that wrote the line."),
    LogField("container.image.name", FieldType.KEYWORD, "Its image."),
    LogField("container.name", FieldType.KEYWORD, "Its name."),
    LogField("data_stream.dataset", FieldType.KEYWORD, "dstk."),
    LogField("data_stream.namespace", FieldType.KEYWORD, "default."),
    LogField("data_stream.type", FieldType.KEYWORD, "logs."),
    LogField("etcd.details", FieldType.KEYWORD, "What etcd adds to its line, as key=value."),
    LogField("event.dataset", FieldType.KEYWORD, "dstk."),
    LogField("event.ingested", FieldType.DATE, "When Elasticsearch got the line."),
    LogField("host.name", FieldType.KEYWORD, "Host that the line was read on."),
    LogField("input.type", FieldType.KEYWORD, "Input of Filebeat."),
    LogField("log.file.path", FieldType.KEYWORD, "File that the line was read from."),
    LogField("log.offset", FieldType.LONG, "Where the line begins in that file, in bytes."),
    LogField("log.origin.file.name", FieldType.KEYWORD, "Place in etcd's source that wrote the line."),
    LogField("stream", FieldType.KEYWORD, "stdout or stderr."),
    LogField("tags", FieldType.KEYWORD, "dstk_unparsed: the line is neither of DSTK nor of etcd."),
    LogField("@version", FieldType.KEYWORD, "1, by Logstash."),
)
"""What Filebeat, Logstash and the ingest pipeline add."""

MOST_CHARACTERS = 1024
"""Longer keywords are kept, and not indexed."""

_TYPES: Mapping[FieldType, Mapping[str, Any]] = {
    FieldType.KEYWORD: {"type": "keyword", "ignore_above": MOST_CHARACTERS},
    FieldType.TEXT: {"type": "match_only_text"},
    FieldType.LONG: {"type": "long"},
    FieldType.DOUBLE: {"type": "double"},
    FieldType.DATE: {"type": "date"},
}


def fields() -> list[LogField]:
    """All fields of the data stream, by name."""
    return sorted((*by_name().values(), *SHIPPED), key=lambda field: field.name)


def mapping(dynamic: str = "false") -> dict[str, Any]:
    """The mapping. `dynamic`: "false" keeps what it does not know without indexing it, "strict" refuses that."""
    return {"dynamic": dynamic, "date_detection": False, "properties": _properties(fields())}


def _properties(declared: Iterable[LogField]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in declared:
        *parents, leaf = field.name.split(".")
        at = properties
        for parent in parents:
            at = at.setdefault(parent, {"properties": {}})["properties"]
        at[leaf] = dict(_TYPES[field.type])
    return properties
