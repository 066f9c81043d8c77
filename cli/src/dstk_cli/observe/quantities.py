"""The figures of partitions: their names on the command line, and their values as text."""

from enum import StrEnum

from dstk.v1 import metrics_pb2
from dstk_service import figures

_TEN = 10


class Load(StrEnum):
    """What a partition can be hot by."""

    READS = "reads"
    WRITES = "writes"
    READ_BYTES = "read-bytes"
    WRITTEN_BYTES = "written-bytes"
    TIME = "time"


class Figure(StrEnum):
    """What the history has."""

    READS = "reads"
    WRITES = "writes"
    SCANNED = "scanned"
    READ_BYTES = "read-bytes"
    WRITTEN_BYTES = "written-bytes"
    FAILURES = "failures"
    TIME = "time"
    RECORDS = "records"
    BYTES = "bytes"


_SIZES = {Figure.READ_BYTES, Figure.WRITTEN_BYTES, Figure.BYTES}
_TOTALS = {Figure.RECORDS, Figure.BYTES}
"""What is counted, rather than counted a second."""

_TITLES = {
    Figure.READS: "reads a second",
    Figure.WRITES: "writes a second",
    Figure.SCANNED: "scanned records a second",
    Figure.READ_BYTES: "bytes read a second",
    Figure.WRITTEN_BYTES: "bytes written a second",
    Figure.FAILURES: "failed operations a second",
    Figure.TIME: "processor time",
    Figure.RECORDS: "records",
    Figure.BYTES: "bytes",
}


def number(name: Load | Figure) -> metrics_pb2.Figure.ValueType:
    """The figure of metrics.proto with this name."""
    return metrics_pb2.Figure.Value(f"FIGURE_{name.name}")


def named(value: int) -> Figure | None:
    """The name of a figure of metrics.proto; None: it is not one that a command shows."""
    known = metrics_pb2.Figure.DESCRIPTOR.values_by_number.get(value)
    return None if known is None else Figure.__members__.get(known.name.removeprefix("FIGURE_"))


def title(figure: Figure) -> str:
    """What the figure is, with its unit."""
    return _TITLES[figure]


def shown(figure: Figure, value: float) -> str:
    """The value of a figure with its unit."""
    if figure is Figure.TIME:
        return f"{value:.1%}" if value < 1 else f"{value:.2f} cores"
    text = figures.size(value) if figure in _SIZES else decimal(value)
    return text if figure in _TOTALS else f"{text}/s"


def decimal(value: float) -> str:
    """A number with one decimal place where it is small."""
    return f"{value:,.0f}" if value >= _TEN or value == int(value) else f"{value:.1f}"


def seconds(value: float) -> str:
    """A latency: "-" for none, else in µs, ms or s."""
    if not value:
        return "-"
    for unit, factor in (("µs", 1e6), ("ms", 1e3)):
        if value * factor < 1000:  # noqa: PLR2004 - the step between the units
            return f"{value * factor:.3g} {unit}"
    return f"{value:.3g} s"
