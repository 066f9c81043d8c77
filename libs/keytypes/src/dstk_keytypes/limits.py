"""The bounds of the API. Sizes are in bytes."""

MAX_KEY_BYTES = 1024
MAX_VALUE_BYTES = 1 << 20
MAX_SCAN_RECORDS = 10_000
MAX_SCAN_BYTES = 4 << 20
MAX_BULK_RECORDS = 10_000
MAX_BULK_BYTES = 8 << 20
MAX_OPERATIONS = 4096
MAX_MESSAGE_BYTES = 16 << 20
MAX_TTL_MS = 3_155_760_000_000
"""100 years of 365.25 days."""
MAX_EXPIRES_AT_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, in Unix time."""
MAX_ETAG = 2**64 - 1
MAX_PARTITION_ID = 2**64 - 1
MAX_TUPLE_DEPTH = 32
"""The most levels of nested tuples in the typed tuple of a key."""
