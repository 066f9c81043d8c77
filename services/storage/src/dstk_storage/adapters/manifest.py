"""Reading LevelDB's MANIFEST: which files a closed database consists of.

LevelDB itself notices a missing table, but not a table that is shorter than it was, a missing log, or a MANIFEST whose end is
gone: it opens with what is left, deletes the files that the rest of the MANIFEST was about, and reports nothing. Formats:
https://github.com/google/leveldb/blob/main/doc/log_format.md and db/version_edit.cc of LevelDB 1.22, which plyvel bundles.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

BLOCK_BYTES = 32 << 10
HEADER_BYTES = 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class ManifestDamaged(ValueError):
    """It is no MANIFEST that LevelDB has written."""


@dataclass(slots=True)
class Version:
    """What the database consists of by its MANIFEST."""

    log: int = 0
    """Number of the oldest log that still counts, which is there whenever the database is not being made; 0: none yet."""
    tables: dict[tuple[int, int], int] = field(default_factory=dict)
    """Bytes of each table, by level and number."""


def read(raw: bytes) -> Version:
    """The last version in the MANIFEST; as for LevelDB, a torn last record does not count. Raises ManifestDamaged."""
    version = Version()
    try:
        for record in _records(raw):
            _apply(version, record)
    except (IndexError, KeyError) as error:
        raise ManifestDamaged(f"an entry cannot be read ({error!r})") from error
    return version


def _records(raw: bytes) -> Iterator[bytes]:
    at, parts = 0, b""
    while at + HEADER_BYTES <= len(raw):
        room = BLOCK_BYTES - at % BLOCK_BYTES
        if room < HEADER_BYTES:
            at += room
            continue
        length, kind = int.from_bytes(raw[at + 4 : at + 6], "little"), raw[at + 6]
        end = at + HEADER_BYTES + length
        if end > len(raw):
            return
        parts = (b"" if kind in (_FULL, _FIRST) else parts) + raw[at + HEADER_BYTES : end]
        if kind in (_FULL, _LAST):
            yield parts
        elif kind not in (_FIRST, _MIDDLE):
            raise ManifestDamaged(f"a record of kind {kind} at byte {at}")
        at = end


class _Edit:
    """One entry, read from its beginning."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at = raw, 0

    @property
    def is_read(self) -> bool:
        return self._at >= len(self._raw)

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self._raw[self._at]
            self._at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:  # noqa: PLR2004 - a varint's last byte
                return value

    def skip_text(self) -> None:
        length = self.number()  # moves on by itself
        self._at += length


def _apply(version: Version, record: bytes) -> None:
    edit = _Edit(record)
    while not edit.is_read:
        match edit.number():
            case 1:  # comparator
                edit.skip_text()
            case 2:
                version.log = edit.number()
            case 3 | 4 | 9:  # next file, last sequence number, previous log
                edit.number()
            case 5:  # compaction pointer
                edit.number()
                edit.skip_text()
            case 6:
                del version.tables[edit.number(), edit.number()]
            case 7:
                level, number = edit.number(), edit.number()
                version.tables[level, number] = edit.number()
                edit.skip_text()
                edit.skip_text()
            case tag:
                raise ManifestDamaged(f"an entry with tag {tag}")
