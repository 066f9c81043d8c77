"""What LevelDB says of its levels and compactions. Pure."""

import re
from dataclasses import dataclass

LEVELS = 7

_LEVEL = re.compile(r"^--- level (\d) ---$")
_TABLE = re.compile(r"^ \d+:(\d+)\[")
"""A table's line goes on with its first and last key; LevelDB escapes line ends in them."""
_LAST_KEY = re.compile(r"^ \d+:\d+\['.*' @ \d+ : \d \.\. '(.*)' @ \d+ : \d\]$", re.MULTILINE)
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_STATS = re.compile(r"^ +\d+ +\d+ +\d+ +(\d+) +\d+ +(\d+)$", re.MULTILINE)
"""A level with its tables, MiB, seconds of compactions, MiB read and MiB written by them."""


@dataclass(frozen=True, slots=True)
class LevelDBFigures:
    """Tables and their bytes by level, and what compactions have done since the database was opened. LevelDB rounds the latter
    to seconds and MiB.
    """

    tables: tuple[int, ...]
    bytes: tuple[int, ...]
    compaction_seconds: int
    compacted_bytes: int


def parse(stats: str, sstables: str) -> LevelDBFigures:
    """Reads the properties `leveldb.stats` and `leveldb.sstables`."""
    tables, sizes, level = [0] * LEVELS, [0] * LEVELS, 0
    for line in sstables.split("\n"):
        if found := _LEVEL.match(line):
            level = int(found[1])
        elif found := _TABLE.match(line):
            tables[level] += 1
            sizes[level] += int(found[1])
    compactions = [(int(seconds), int(written) << 20) for seconds, written in _STATS.findall(stats)]
    return LevelDBFigures(tuple(tables), tuple(sizes), *map(sum, zip((0, 0), *compactions, strict=True)))


def last_keys(sstables: str) -> list[bytes]:
    """The last key of each table by the property `leveldb.sstables`, in order. A key that has the four characters of an escaped
    byte comes out as another one: LevelDB does not tell them apart.
    """
    found = (_ESCAPED.sub(_byte, key.encode()) for key in _LAST_KEY.findall(sstables))
    return sorted(found)


def _byte(escaped: re.Match[bytes]) -> bytes:
    return bytes([int(escaped[1], 16)])
