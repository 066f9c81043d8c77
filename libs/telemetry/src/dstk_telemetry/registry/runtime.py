"""Metrics of every process: its event loop, its garbage collector, its build, and its telemetry itself."""

from dstk_telemetry.registry.buckets import LOOP_SECONDS
from dstk_telemetry.registry.kinds import EVERY_SERVICE, Label, Unit, counter, gauge, histogram

VERSION = Label("version", "of DSTK", bound=1)
INSTANCE = Label("node", "id of the storage node, or of the other service's process", bound=1)
SINK = Label("sink", "where telemetry goes", ("traces", "logs", "errors"))
READY = Label("part", "what readiness rests on; disk: of storage nodes alone", ("serving", "map", "disk"))

BUILD = gauge("dstk_build_info", "1; the labels say what runs.", VERSION, INSTANCE, owners=EVERY_SERVICE)
STARTED = gauge("dstk_start_timestamp_seconds", "When the process started.", unit=Unit.TIMESTAMP, owners=EVERY_SERVICE)
READY_PARTS = gauge("dstk_ready", "1 where this part of the service's readiness holds.", READY, owners=EVERY_SERVICE)
LOOP_LAG = histogram(
    "dstk_event_loop_lag_seconds",
    "How late a timer of the event loop came, once every half second.",
    unit=Unit.SECONDS,
    buckets=LOOP_SECONDS,
    owners=EVERY_SERVICE,
)
LOOP_TASKS = gauge("dstk_event_loop_tasks", "Tasks that have not ended.", owners=EVERY_SERVICE)
GC_SECONDS = counter(
    "dstk_gc_pause_seconds_total", "Time in Python's garbage collector.", unit=Unit.SECONDS, owners=EVERY_SERVICE
)
DROPPED = counter(
    "dstk_telemetry_dropped_total",
    "Spans, log lines and error reports that were dropped rather than waited for.",
    SINK,
    owners=EVERY_SERVICE,
)
OBSERVER_FAILURES = counter(
    "dstk_observer_failures_total",
    "Events and figures that telemetry itself failed on; the log has the first of each kind.",
    owners=EVERY_SERVICE,
)

METRICS = (BUILD, STARTED, READY_PARTS, LOOP_LAG, LOOP_TASKS, GC_SECONDS, DROPPED, OBSERVER_FAILURES)
