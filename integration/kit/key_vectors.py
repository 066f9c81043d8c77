"""Test vectors of the key encoding for other languages: `python -m kit.key_vectors > ../docs/key-encoding-vectors.json`.

An element is an object with its type as the first member: {"int": "42"}. Numbers are text, as JSON's own do not hold them all;
bytes are hex; a float has its 64 bits in hex beside its text; a datetime is microseconds since 1970-01-01 UTC.
"""

import json
import math
import struct
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from dstk_keytypes import Key, KeyRange, Part

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

TUPLES: list[tuple[Part, ...]] = [
    *((part,) for part in (None, False, True, 0, 1, 2, 127, 128, 255, 256, 65_535, 65_536, 2**31, 2**32, 2**53 + 1)),
    *(
        (part,)
        for part in (2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**72, 2**1000, -1, -2, -128, -255, -256, -257, -(2**31))
    ),
    *((part,) for part in (-(2**63), -(2**64) + 1, -(2**64), -(2**72), -(2**1000))),
    *(
        (part,)
        for part in (0.0, -0.0, 1.0, -1.0, 2.5, 0.1, 5e-324, -5e-324, 1.7976931348623157e308, math.inf, -math.inf)
    ),
    (math.nan,),
    *(
        (EPOCH + offset,)
        for offset in (timedelta(0), MICROSECOND, -MICROSECOND, timedelta(days=20_484, microseconds=1))
    ),
    (datetime.min.replace(tzinfo=UTC),),
    (datetime.max.replace(tzinfo=UTC),),
    *((part,) for part in ("", "a", "a\0", "a\0b", "b", "hello", "é", "\uffff", "\U0001f409")),
    *((part,) for part in (b"", b"\0", b"\0\xff", b"\x01", b"\xff", b"\x00\xff\xfe")),
    (UUID(int=0),),
    (UUID("12345678-1234-5678-1234-567812345678"),),
    *((part,) for part in ((), (None,), ((),), (0,), ("a",), ("a", 1))),
    ("city",),
    ("city", "FR"),
    ("city", "FR", 2_988_507),
    ("city", "FR", (2_988_507, "x"), None),
    (("a", 1), "b"),
    (1, 1.0, True),
]

REFUSED = [
    ("00", "a zero byte begins no element"),
    ("1d", "no such type code"),
    ("20", "no such type code"),
    ("ff", "no such type code"),
    ("0e", "the number is cut short"),
    ("0e00", "a leading zero: 0 is 0d"),
    ("0f00ff", "a leading zero: 255 is 0eff"),
    ("0cff", "a leading zero: minus zero"),
    ("160008ffffffffffffffff", "eight bytes have a code of their own"),
    ("17800000", "the float is cut short"),
    ("17fff8000000000001", "not the one NaN"),
    ("170007ffffffffffff", "a NaN with a sign"),
    ("18ffffffffffffffff", "after the year 9999"),
    ("1961", "text without an end"),
    ("19ff00", "not UTF-8"),
    ("19eda08000", "a lone surrogate"),
    ("1a00ff", "bytes without an end"),
    ("1b00", "the UUID is cut short"),
    ("1c01", "a tuple without an end"),
]

PREFIXES: list[tuple[Part, ...]] = [("city",), ("city", "FR"), (0,), ("a\0",), ((),)]


def tagged(part: Part) -> dict[str, Any]:
    """An element as JSON."""
    match part:
        case None:
            return {"none": None}
        case bool():
            return {"bool": part}
        case int():
            return {"int": str(part)}
        case float():
            return {"float": repr(part), "bits": struct.pack(">d", part).hex()}
        case datetime():
            return {"datetime": str((part - EPOCH) // MICROSECOND), "iso": part.isoformat()}
        case str():
            return {"str": part}
        case bytes():
            return {"bytes": part.hex()}
        case UUID():
            return {"uuid": str(part)}
    return {"tuple": [tagged(each) for each in part]}


def document() -> dict[str, Any]:
    """All vectors; tuples in the order of their keys, which is the order of the tuples."""
    encoded = sorted(((bytes(Key.of(*parts)), parts) for parts in TUPLES), key=lambda pair: pair[0])
    ranges = [(parts, KeyRange.tuple_prefix(*parts)) for parts in PREFIXES]
    return {
        "about": "docs/key-encoding.md explains the encoding and this file; `ordered` is in the order of the keys",
        "ordered": [{"tuple": [tagged(part) for part in parts], "key": key.hex()} for key, parts in encoded],
        "refused": [{"key": key, "why": why} for key, why in REFUSED],
        "prefix_ranges": [
            {"prefix": [tagged(part) for part in parts], "start": found.start.hex(), "end": (found.end or b"").hex()}
            for parts, found in ranges
        ],
    }


def text() -> str:
    """The file, a vector a line."""
    parts = []
    for name, value in document().items():
        shown = (
            json.dumps(value)
            if isinstance(value, str)
            else "[\n" + ",\n".join(f"    {json.dumps(each)}" for each in value) + "\n  ]"
        )
        parts.append(f"  {json.dumps(name)}: {shown}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.stdout.write(text())
