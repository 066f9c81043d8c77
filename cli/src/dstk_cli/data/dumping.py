"""`dstk scan --output FILE`: writes a dump that `dstk load` reads; dstk_formats.dump describes the format.

A regular file appears complete or not at all: the dump goes to a temporary file beside it, which is renamed when it is on disk.
A pipe or a device such as /dev/stdout is opened and written: replacing it would break it for its other users.
"""

import os
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dstk_cli.data import values
from dstk_cli.progress import Records
from dstk_client import Record
from dstk_formats import dump
from dstk_keytypes import KeyRange
from dstk_service.whole_files import replacing


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump to write. `cluster` and `uid` identify the cluster that the records come from."""

    path: Path
    cluster: str
    uid: str
    key_range: KeyRange

    async def write(self, records: AsyncIterator[Record], shown: Records) -> int:
        """Writes all records; returns how many. On failure or cancellation an existing file stays unchanged."""
        count = 0
        with _opened(self.path) as file:
            now_ms = time.time_ns() // 1_000_000
            file.write(dump.encoded(dump.header(self.cluster, self.uid, self.key_range, now_ms)))
            async for record in records:
                file.write(dump.encoded(values.as_json(record)))
                count += 1
                shown.acknowledged(1)
            file.write(dump.encoded(dump.trailer(count)))
        return count


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        mode = _mode(path)
        if mode is None or stat.S_ISREG(mode):
            kept = None if mode is None else stat.S_IMODE(mode)
            with replacing(Path(os.path.realpath(path)), durable=True, mode=kept) as file:
                yield file
        else:
            with path.open("wb") as file:
                yield file
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # instead of the temporary file, or no file
        raise


def _mode(path: Path) -> int | None:
    """The mode of the existing file; None if there is none. Raises OSError."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
