"""Lines of bytes out of a stream, with the exact position of each, so that a load can stop and go on.

Memory is bounded whatever the source holds: of a line that is longer than a record may be, only its place is kept.
"""

import os
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

MAX_LINE_BYTES = 16 << 20
"""Of a line, and of a CSV record that spans several."""

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Position:
    """How much of a source has been read: lines, bytes, and the CRC-32 of those bytes."""

    lines: int = 0
    size: int = 0
    checksum: int = 0


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line of more than 16 MiB: where it lies in a file that is open, and how many bytes it has.

    `is_copy`: the file holds this line alone, and is gone when it is closed.
    """

    file: BinaryIO
    offset: int
    size: int
    is_copy: bool = False

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, a MiB at a time."""
        at, end = self.offset, self.offset + self.size
        while at < end and (piece := os.pread(self.file.fileno(), min(_PIECE, end - at), at)):
            yield piece
            at += len(piece)

    def close(self) -> None:
        """Frees the disk space of a copy."""
        if self.is_copy:
            self.file.close()


Line = bytes | LongLine


class Lines:
    """The lines of a stream, ends of lines included. `position`: behind what `take` has given, whatever was looked at."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._seen: deque[Line] = deque()
        """Lines that were looked at and not taken."""
        self.count = self._size = self._checksum = 0
        self._can_be_read_again = _can_be_read_again(stream)
        self._offset = stream.tell() if self._can_be_read_again else 0

    @property
    def mark(self) -> tuple[int, int, int]:
        """What a Position is made of; many times as cheap."""
        return self.count, self._size, self._checksum

    @property
    def position(self) -> Position:
        """What has been taken."""
        return Position(*self.mark)

    def take(self) -> Line:
        """The next line; empty at the end."""
        line = self._seen.popleft() if self._seen else self._read()
        if isinstance(line, LongLine):
            for piece in line.pieces():
                self._passed(piece)
        elif not line:
            return line
        else:
            self._passed(line)
        self.count += 1
        return line

    def ahead(self) -> Iterator[Line]:
        """The lines that `take` will give, which are not taken by looking at them."""
        yield from tuple(self._seen)
        while line := self._read():
            self._seen.append(line)
            yield line

    def _passed(self, content: bytes) -> None:
        self._size += len(content)
        self._checksum = zlib.crc32(content, self._checksum)

    def _read(self) -> Line:
        line = self._stream.readline(MAX_LINE_BYTES + 1)
        begin, self._offset = self._offset, self._offset + len(line)
        return line if len(line) <= MAX_LINE_BYTES else self._place(line, begin)

    def _place(self, head: bytes, begin: int) -> LongLine:
        """Reads over the rest of a long line. A stream that cannot be read again is copied to a file without a name."""
        copy = None if self._can_be_read_again else TemporaryFile()  # noqa: SIM115 - LongLine.close closes it
        size, piece = 0, head
        while piece:
            size += len(piece)
            if copy is not None:
                copy.write(piece)
            if piece.endswith(b"\n"):
                break
            piece = self._stream.readline(_PIECE)
        self._offset = begin + size
        if copy is None:
            return LongLine(self._stream, begin, size)
        copy.flush()
        return LongLine(copy, 0, size, is_copy=True)


def _can_be_read_again(stream: BinaryIO) -> bool:
    try:
        stream.fileno()
    except OSError:
        return False
    return stream.seekable()
