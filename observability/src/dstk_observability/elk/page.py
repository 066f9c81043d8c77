"""The page of log fields and actions, docs/logs.md. What is written by hand is in the middle of this module."""

from collections.abc import Iterable

from dstk_observability.elk.mapping import SHIPPED
from dstk_observability.elk.searches import SEARCHES
from dstk_service.logs.actions import ACTIONS
from dstk_service.logs.fields import LogField, by_name
from dstk_service.logs.throttle import BURST

_TEXT = f"""\
# Logs

<!-- Generated from dstk_service.logs and dstk_observability.elk: change it there and run `make generate`. -->

Every service writes JSON lines to standard error, one object a line, with the names of the Elastic Common Schema (ECS) and
`dstk.*` where ECS has none. `--log-format text` is for people, `--log-level debug` shows more.

- **Audit**: a line with `event.action` is about the control plane: partitions, nodes, the controller, settings. It is never
  suppressed. `dstk.origin` says who caused it.
- **Throttle**: of other lines with the same message, {BURST} are written at once and one a second after that;
  `dstk.log.suppressed` counts the others. The level debug has no limit.
- **Privacy**: keys of records and bounds of partitions are left out, or shown as `(hidden)`, unless `--log-keys` is given.
  Values are never logged.
- **Full disk**: lines wait in memory, 4 MiB at most, and are lost after that; `dstk.log.dropped` counts them in the first line
  that is written again. No request waits for the log.

## Read them

<!-- not run: needs a cluster of `dstk local up`; cli/tests/test_cli_local_cluster.py runs the command -->
```console
$ dstk local logs --level warning               # of all processes, etcd's too, merged by time
$ dstk local logs --events --partition 7        # what was done to a partition, when, and by whom
$ dstk local logs storage-1 --output json | jq -r 'select(."event.action" == "failover") | ."dstk.partition"'
```

`dstk local up` keeps the files in `logs/` of its data directory. For other clusters, with `jq`:

<!-- not run: needs jq, and the log files of a cluster -->
```console
$ jq -r 'select(."log.level" == "error") | [."@timestamp", ."service.node.name", .message, ."error.message"] | @tsv' *.log
$ jq -r 'select(."dstk.origin" == "operator") | [."@timestamp", ."event.action", ."dstk.node", ."event.reason"] | @tsv' *.log
$ jq -c 'select(."dstk.partition" == 7) | {{at: ."@timestamp", by: ."service.node.name", message}}' *.log
```

`make logs` follows those of the compose stack; `make up-elk` shows them in Kibana.

## In Elasticsearch

Filebeat reads the lines and Logstash hands them to the data stream `logs-dstk-default`. The ingest pipeline parses them, and
gives lines of etcd the same fields. [observability/elk](../observability/elk) has the index template, the lifecycle (a new
index a day, each kept for 30 days), the pipeline, and Kibana's objects; `observability/elk/setup` loads them. Saved searches:

"""


def page() -> str:
    """The page."""
    return (
        "\n".join(
            (
                _TEXT,
                _table("search", "query", ((search.title, f"`{search.query}`") for search in SEARCHES)),
                "## Fields\n",
                _fields(by_name().values()),
                "Filebeat, Logstash and the ingest pipeline add:\n",
                _fields(SHIPPED),
                "## Actions\n",
                _actions(),
            )
        ).rstrip("\n")
        + "\n"
    )


def _fields(fields: Iterable[LogField]) -> str:
    rows = ((f"`{field.name}`", field.type.value, _meaning(field)) for field in fields)
    return _table("field", "type", "meaning", rows)


def _meaning(field: LogField) -> str:
    return f"{field.meaning} Only with `--log-keys`." if field.is_private else field.meaning


def _actions() -> str:
    rows = ((f"`{each.name}`", each.category, each.type, each.meaning) for each in ACTIONS.values())
    return _table("event.action", "event.category", "event.type", "meaning", rows)


def _table(*given: str | Iterable[tuple[str, ...]]) -> str:
    *titles, rows = given
    lines = [tuple(map(str, titles)), ("---",) * len(titles), *(tuple(map(str, row)) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
