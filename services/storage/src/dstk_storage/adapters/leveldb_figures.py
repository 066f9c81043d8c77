"""What LevelDB says of its levels and compactions. Pure."""

import re
from dataclasses import dataclass

LEVELS = 7

_LEVEL = re.compile(r"^--- level (\d) ---$")
_TABLE = re.compile(r"^ \d+:(\d+)\[")
"""A table's line goes on with its first and last key; LevelDB escapes line ends in them."""
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
