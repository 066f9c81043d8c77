"""The ingest pipeline: parses what Filebeat sends, which is a raw line in `message`.

A line of ours is a JSON object with names of ECS, and becomes the document's fields. A line of etcd is a JSON object with names
of zap, and gets the same shape. Any other line (HAProxy's, or of a program that crashes) is kept as it is, with a tag.
"""

from typing import Any

from dstk_observability.elk.names import DATASET, NAMESPACE, UNPARSED

_OURS = """
void put(Map target, String name, def value) {
  int dot = name.indexOf('.');
  if (dot < 0) { target[name] = value; return; }
  String parent = name.substring(0, dot);
  if (!(target[parent] instanceof Map)) { target[parent] = new HashMap(); }
  put(target[parent], name.substring(dot + 1), value);
}
Map line = ctx.remove('line');
for (entry in line.entrySet()) { put(ctx, entry.getKey(), entry.getValue()); }
"""
"""Painless: the names with dots become objects, so that they join what Filebeat has put there, such as log.file."""

_ETCD = """
Map line = ctx.remove('line');
ctx.message = line.remove('msg').toString();
ctx.etcd_time = line.remove('ts').toString();
if (!(ctx.log instanceof Map)) { ctx.log = new HashMap(); }
Map levels = ['warn': 'warning', 'dpanic': 'critical', 'panic': 'critical', 'fatal': 'critical'];
String level = line.remove('level').toString();
ctx.log.level = levels.getOrDefault(level, level);
def caller = line.remove('caller');
if (caller != null) { ctx.log.origin = ['file': ['name': caller.toString()]]; }
def logger = line.remove('logger');
ctx.log.logger = logger == null ? 'etcd' : logger.toString();
ctx.service = ['name': 'etcd', 'type': 'etcd'];
def error = line.remove('error');
def trace = line.remove('stacktrace');
if (error != null || trace != null) { ctx.error = new HashMap(); }
if (error != null) { ctx.error.message = error.toString(); }
if (trace != null) { ctx.error.stack_trace = trace.toString(); }
List details = new ArrayList();
for (entry in line.entrySet()) { details.add(entry.getKey() + '=' + entry.getValue()); }
if (!details.isEmpty()) { ctx.etcd = ['details': details]; }
"""

IS_JSON = "ctx.message instanceof String && ctx.message.startsWith('{')"


def _has(*names: str) -> str:
    return " && ".join(("ctx.line instanceof Map", *(f"ctx.line.containsKey('{name}')" for name in names)))


IS_OURS, IS_ETCD = _has("@timestamp", "log.level"), _has("msg", "ts", "level")


def pipeline() -> dict[str, Any]:
    """The pipeline."""
    return {
        "description": "Lines of DSTK and of etcd, with names of ECS",
        "processors": [
            {"json": {"field": "message", "target_field": "line", "if": IS_JSON, "ignore_failure": True}},
            _script(_OURS, IS_OURS),
            _script(_ETCD, IS_ETCD),
            *_time_of_etcd(),
            *_unparsed(),
            {"set": {"field": "data_stream", "value": _stream()}},
            {"set": {"field": "event.dataset", "value": DATASET}},
            {"set": {"field": "event.ingested", "value": "{{_ingest.timestamp}}"}},
            {"remove": {"field": "event.original", "ignore_missing": True}},
        ],
        "on_failure": [
            {"append": {"field": "tags", "value": [UNPARSED]}},
            {"set": {"field": "event.kind", "value": "pipeline_error"}},
            {"set": {"field": "error.message", "value": "{{_ingest.on_failure_message}}"}},
            {"remove": {"field": ["line", "etcd_time"], "ignore_missing": True}},
        ],
    }


def _stream() -> dict[str, str]:
    return {"type": "logs", "dataset": DATASET, "namespace": NAMESPACE}


def _script(source: str, condition: str) -> dict[str, Any]:
    return {"script": {"lang": "painless", "if": condition, "source": source.strip()}}


def _time_of_etcd() -> list[dict[str, Any]]:
    formats = ["ISO8601", "UNIX"]
    known = "ctx.etcd_time != null"
    return [
        {"date": {"field": "etcd_time", "formats": formats, "if": known}},
        {"remove": {"field": "etcd_time", "ignore_missing": True}},
    ]


def _unparsed() -> list[dict[str, Any]]:
    """`error: ...` is what a process of ours tells the person who started it."""
    neither = "ctx.log?.level == null"
    return [
        {"remove": {"field": "line", "ignore_missing": True}},
        {"append": {"field": "tags", "value": [UNPARSED], "if": neither}},
        {"set": {"field": "log.level", "value": "error", "if": f"{neither} && ctx.message.startsWith('error: ')"}},
    ]
