"""Metrics that prometheus-client exports of every process under names of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from dstk_telemetry.registry.kinds import Kind, Unit


@dataclass(frozen=True, slots=True)
class ForeignMetric:
    """A family of series. `labels`: their names."""

    name: str
    kind: Kind
    help: str
    unit: Unit = Unit.COUNT
    labels: tuple[str, ...] = ()


FOREIGN: Sequence[ForeignMetric] = (
    ForeignMetric("process_cpu_seconds_total", Kind.COUNTER, "CPU time of user and system.", Unit.SECONDS),
    ForeignMetric("process_resident_memory_bytes", Kind.GAUGE, "Resident memory.", Unit.BYTES),
    ForeignMetric("process_virtual_memory_bytes", Kind.GAUGE, "Virtual memory.", Unit.BYTES),
    ForeignMetric("process_start_time_seconds", Kind.GAUGE, "When the process started, in Unix time.", Unit.SECONDS),
    ForeignMetric("process_open_fds", Kind.GAUGE, "Open file descriptors."),
    ForeignMetric("process_max_fds", Kind.GAUGE, "File descriptors that the process may open."),
    ForeignMetric("python_gc_collections_total", Kind.COUNTER, "Garbage collections.", labels=("generation",)),
    ForeignMetric(
        "python_gc_objects_collected_total", Kind.COUNTER, "Objects that were collected.", labels=("generation",)
    ),
    ForeignMetric(
        "python_gc_objects_uncollectable_total",
        Kind.COUNTER,
        "Objects that could not be collected.",
        labels=("generation",),
    ),
)
