"""Metrics of the metrics service: the history that it keeps, and the console that shows it."""

from dstk_telemetry.registry.kinds import Label, Owner, Unit, counter, gauge

METRICS_SERVICE = (Owner.METRICS,)
TIER = Label("tier", "of the history: for how long its slots are", ("1min", "2min", "6min", "30min", "4h"))
ROUTE = Label("route", "of the console, as its code names it", bound=32)
CODE = Label("code", "HTTP status", bound=12)

SLOTS = gauge("dstk_history_slots", "Slots of time that the history has, by tier.", TIER, owners=METRICS_SERVICE)
SIZE = gauge(
    "dstk_history_size_bytes", "Bytes of the history's files on disk.", unit=Unit.BYTES, owners=METRICS_SERVICE
)
LIMIT = gauge(
    "dstk_history_limit_bytes",
    "Bytes that the history may take; it drops its oldest slots first.",
    unit=Unit.BYTES,
    owners=METRICS_SERVICE,
)
AGE = gauge(
    "dstk_history_age_seconds",
    "How long ago the newest slot ended; without any, since the service started.",
    unit=Unit.SECONDS,
    owners=METRICS_SERVICE,
)
WRITTEN = counter("dstk_history_written_minutes_total", "Minutes that the history has written.", owners=METRICS_SERVICE)
WRITE_FAILURES = counter(
    "dstk_history_write_failures_total",
    "Attempts to write the history that failed. An hour of minutes waits in memory for the next one.",
    owners=METRICS_SERVICE,
)
WAITING = gauge(
    "dstk_history_waiting_minutes", "Minutes that wait in memory until they can be written.", owners=METRICS_SERVICE
)
LOST = counter(
    "dstk_history_lost_minutes_total",
    "Minutes that were given up, since they could not be written for an hour.",
    owners=METRICS_SERVICE,
)
DAMAGED = counter(
    "dstk_history_damaged_slots_total",
    "Slots of the history that were damaged on disk, and left out.",
    owners=METRICS_SERVICE,
)
MOVED_ASIDE = counter(
    "dstk_history_moved_aside_total",
    "Files of the history that were damaged: they were moved aside, and it began again.",
    owners=METRICS_SERVICE,
)
CONNECTIONS = gauge("dstk_console_connections", "Connections of browsers that are open.", owners=METRICS_SERVICE)
REQUESTS = counter(
    "dstk_console_requests_total", "Requests to the console, by their end.", ROUTE, CODE, owners=METRICS_SERVICE
)
EVENTS_SENT = counter(
    "dstk_console_events_total", "Events that were sent to pages that show live figures.", owners=METRICS_SERVICE
)
EVENTS_DROPPED = counter(
    "dstk_console_dropped_events_total",
    "Events that were not sent, since a browser reads too slowly: the next one replaces them.",
    owners=METRICS_SERVICE,
)

METRICS = (
    SLOTS,
    SIZE,
    LIMIT,
    AGE,
    WRITTEN,
    WRITE_FAILURES,
    WAITING,
    LOST,
    DAMAGED,
    MOVED_ASIDE,
    CONNECTIONS,
    REQUESTS,
    EVENTS_SENT,
    EVENTS_DROPPED,
)
