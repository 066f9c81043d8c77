"""Every process: its event loop, garbage collector, memory, descriptors, CPU."""

from dstk_observability.alerts.kinds import Group, ticket
from dstk_observability.external import PROCESS_CPU, PROCESS_MEMORY, PROCESS_MOST_FILES, PROCESS_OPEN_FILES
from dstk_observability.promql import now, rate, slower
from dstk_telemetry.registry.runtime import GC_SECONDS, LOOP_LAG, LOOP_TASKS

GIB = 1 << 30
_WHO = "{{ $labels.instance }}"

GROUP = Group(
    "runtime",
    "Processes",
    [
        ticket(
            "DstkEventLoopBlocked",
            "5m",
            slower(0.25, LOOP_LAG, "5m", "cluster", "job", "instance"),
            f"Timers of {_WHO} come {{{{ $value | humanizeDuration }}}} late",
            "Something blocks its event loop, or it lacks CPU. A node loses its leases beyond 0.7 s.",
        ),
        ticket(
            "DstkTasksGrow",
            "15m",
            now(LOOP_TASKS).above(20000),
            f"{_WHO} has {{{{ $value }}}} tasks that have not ended",
            "Calls wait for something, or tasks are not ended.",
        ),
        ticket(
            "DstkGarbageCollectionLong",
            "15m",
            rate(GC_SECONDS, "5m").above(0.1),
            f"{_WHO} spends {{{{ $value | humanizePercentage }}}} of its time in the garbage collector",
            "Every call waits meanwhile.",
        ),
        ticket(
            "DstkCpuSaturated",
            "15m",
            rate(PROCESS_CPU, "5m").above(0.95),
            f"{_WHO} uses a whole core",
            "Its event loop runs on one core: more work makes it slower for all callers.",
        ),
        ticket(
            "DstkDescriptorsLow",
            "10m",
            (now(PROCESS_OPEN_FILES) / now(PROCESS_MOST_FILES)).above(0.8),
            f"{_WHO} has {{{{ $value | humanizePercentage }}}} of its file descriptors open",
            "Without descriptors it accepts no connection and opens no file.",
        ),
        ticket(
            "DstkMemoryGrows",
            "10m",
            (now(PROCESS_MEMORY) - now(PROCESS_MEMORY, "1h")).above(GIB),
            f"{_WHO} took {{{{ $value | humanize1024 }}}}B of memory within an hour",
            "A node's memory is bounded by its settings: more than a gibibyte within an hour is none of them.",
        ),
    ],
)
