"""Reads lines of bytes from a stream, with the exact position of each, so that a load can stop and resume.

Memory use is bounded for any source: of a line longer than a record may be, only the location is kept.
"""

import os
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

from dstk_formats.errors import SourceChanged

MAX_LINE_BYTES = 16 << 20
"""Maximum length of a line, and of a CSV record of several lines."""

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Position:
    """The part of a source that has been read: its lines, its bytes, and the CRC-32 of those bytes."""

    lines: int = 0
    size: int = 0
    checksum: int = 0


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line of more than 16 MiB: its offset and size in an open file.

    `is_copy`: the file contains only this line, and disappears when it is closed.
    """

    file: BinaryIO
    offset: int
    size: int
    is_copy: bool = False

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the line, in pieces of 1 MiB."""
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
    """The lines of a stream, with their line ends. `position` is behind the last line taken; `ahead` does not move it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._seen: deque[Line] = deque()
        """Lines that `ahead` has read and `take` has not."""
        self.count = self._size = self._checksum = 0
        self._can_be_read_again = _can_be_read_again(stream)
        self._offset = stream.tell() if self._can_be_read_again else 0

    @property
    def mark(self) -> tuple[int, int, int]:
        """The fields of the position, as a tuple: many times cheaper."""
        return self.count, self._size, self._checksum

    @property
    def position(self) -> Position:
        """The position behind the last line taken."""
        return Position(*self.mark)

    def take(self) -> Line:
        """Returns the next line; empty at the end."""
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

    def skip_to(self, position: Position) -> Line:
        """Takes the lines up to a position, and returns the first line. Raises SourceChanged if they are not those of then."""
        first = self.take() if self.count < position.lines else b""
        while self.count < position.lines and self.take():
            pass
        if self.position != position:
            raise SourceChanged
        return first

    def ahead(self) -> Iterator[Line]:
        """The lines that follow, without taking them."""
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
        """Skips the rest of a long line. If the stream cannot be read again, copies the line to an unnamed file."""
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
