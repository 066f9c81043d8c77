"""`python -m dstk_telemetry.registry.span_table` prints the table of docs/tracing.md, made from the registry."""

from collections.abc import Iterator

from dstk_telemetry.registry.spans import SPANS, SpanType


def span_table() -> str:
    """The table of all spans and that of all attributes, in Markdown."""
    attributes = {each.name: each for span in SPANS.values() for each in span.attributes}
    lines = ["| span | kind | what | attributes | links to |", "| --- | --- | --- | --- | --- |"]
    lines += map(_row, SPANS.values())
    lines += ["", "| attribute | what |", "| --- | --- |"]
    lines += [f"| `{name}` | {attributes[name].what} |" for name in sorted(attributes)]
    return "\n".join(lines) + "\n"


def _row(span: SpanType) -> str:
    return f"| {' | '.join(_cells(span))} |"


def _cells(span: SpanType) -> Iterator[str]:
    yield f"`{span.name}`"
    yield span.kind
    yield span.help
    yield ", ".join(f"`{each.name}`" for each in span.attributes)
    yield span.links or "-"


if __name__ == "__main__":
    print(span_table(), end="")  # noqa: T201 - for docs/tracing.md
