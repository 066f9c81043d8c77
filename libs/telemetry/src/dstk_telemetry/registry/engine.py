"""Metrics of LevelDB, expiry and background reading."""

from dstk_telemetry.registry.buckets import LONG_SECONDS
from dstk_telemetry.registry.kinds import Label, Owner, Unit, counter, gauge, histogram

STORAGE = (Owner.STORAGE,)
LEVEL = Label("level", "of LevelDB's tables", tuple(str(number) for number in range(7)))

ENGINE_BYTES = gauge(
    "dstk_engine_bytes", "Bytes of LevelDB's tables, by level.", LEVEL, unit=Unit.BYTES, owners=STORAGE
)
ENGINE_TABLES = gauge("dstk_engine_tables", "LevelDB's tables, by level.", LEVEL, owners=STORAGE)
COMPACTION_SECONDS = counter(
    "dstk_engine_compaction_seconds_total",
    "Time that LevelDB has spent on compactions.",
    unit=Unit.SECONDS,
    owners=STORAGE,
)
COMPACTED_BYTES = counter(
    "dstk_engine_compacted_bytes_total",
    "Bytes that LevelDB's compactions have written.",
    unit=Unit.BYTES,
    owners=STORAGE,
)
CORRUPTIONS = counter("dstk_engine_corruptions_total", "Times that a block did not match its checksum.", owners=STORAGE)
REPLACEMENTS = counter(
    "dstk_engine_replacements_total", "Times that an empty engine replaced a bad one.", owners=STORAGE
)
RECLAIMED = counter(
    "dstk_engine_reclaimed_bytes_total",
    "Bytes that the node's own compactions of deleted ranges gave back.",
    unit=Unit.BYTES,
    owners=STORAGE,
)
RECLAIM_SECONDS = histogram(
    "dstk_engine_reclaim_seconds",
    "How long one such compaction of a piece took.",
    unit=Unit.SECONDS,
    buckets=LONG_SECONDS,
    owners=STORAGE,
)
GARBAGE = gauge(
    "dstk_engine_garbage_bytes",
    "Bytes that removed records still take on disk, roughly.",
    unit=Unit.BYTES,
    owners=STORAGE,
)
EXPIRED = counter(
    "dstk_expired_records_total", "Records that the reaper removed because they had expired.", owners=STORAGE
)
EXPIRY_BEHIND = gauge(
    "dstk_expiry_behind", "1 while more records are due than one step of the reaper removes.", owners=STORAGE
)

METRICS = (
    ENGINE_BYTES,
    ENGINE_TABLES,
    COMPACTION_SECONDS,
    COMPACTED_BYTES,
    CORRUPTIONS,
    REPLACEMENTS,
    RECLAIMED,
    RECLAIM_SECONDS,
    GARBAGE,
    EXPIRED,
    EXPIRY_BEHIND,
)
