"""`python -m dstk_telemetry.registry.page` prints docs/metrics.md, made from the registry."""

from collections.abc import Iterator, Sequence

from dstk_telemetry.registry import AREAS
from dstk_telemetry.registry.foreign import FOREIGN
from dstk_telemetry.registry.kinds import EVERY_SERVICE, Kind, Label, Metric

INTRODUCTION = """# Metrics
<!-- Generated from libs/telemetry/src/dstk_telemetry/registry by `make generate`: change it there. -->

Every service exports its metrics over HTTP, in Prometheus' text format or as OpenMetrics, under `/metrics` at the address in
`--operations-listen` ([operations](operations.md#health-and-metrics)).

Counters and histograms begin at zero when a process starts, and exist before their first event if all their labels have fixed
values. Labels have the ids of nodes and partitions, never addresses, keys or values of users. Names end in their unit, seconds
or bytes, which is never scaled. The service `backup` does not exist yet.
"""


def metrics_page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([INTRODUCTION, *_areas(), *_foreign()])


def _areas() -> Iterator[str]:
    for title, metrics in AREAS.items():
        yield f"## {title}"
        yield from _table(("name", "type", "labels", "services", "what"), (_row(metric) for metric in metrics))
        labels = dict.fromkeys(label for metric in metrics for label in metric.labels)
        if labels:
            yield from _table(("label", "of", "values", "what"), (_label_row(label, metrics) for label in labels))


def _row(metric: Metric) -> Sequence[str]:
    labels = ", ".join(f"`{name}`" for name in metric.label_names) or "-"
    owners = "all" if metric.owners == EVERY_SERVICE else ", ".join(metric.owners)
    return f"`{metric.name}`", metric.kind, labels, owners, f"{metric.help}{_buckets(metric)}"


def _buckets(metric: Metric) -> str:
    if metric.kind is not Kind.HISTOGRAM:
        return ""
    return f" Buckets up to: {', '.join(f'{bound:g}' for bound in metric.buckets)}."


def _label_row(label: Label, metrics: Sequence[Metric]) -> Sequence[str]:
    having = ", ".join(f"`{metric.name}`" for metric in metrics if label in metric.labels)
    values = ", ".join(f"`{value}`" for value in label.values) or f"at most {label.bound}"
    return f"`{label.name}`", having, values, label.what


def _foreign() -> Iterator[str]:
    yield "## Of every process in Python"
    rows = ((f"`{each.name}`", each.kind, ", ".join(each.labels) or "-", each.help) for each in FOREIGN)
    yield from _table(("name", "type", "labels", "what"), rows)


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield _line(head)
    yield _line(["---"] * len(head))
    yield from map(_line, rows)
    yield ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(metrics_page(), end="")  # noqa: T201 - the page
