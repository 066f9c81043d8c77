"""`dstk scan --output FILE`: a dump that `dstk load` reads back; its form is in load/dump.py.

The file appears whole, or not at all: it is written beside its place and renamed when everything is on disk.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dstk_cli.data import values
from dstk_cli.data.load.dump import VERSION
from dstk_cli.data.load.progress import Shown
from dstk_client import Record
from dstk_keytypes import KeyRange


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump to be written. `cluster` and `uid`: where the records come from."""

    path: Path
    cluster: str
    uid: str
    key_range: KeyRange

    async def write(self, records: AsyncIterator[Record], shown: Shown) -> int:
        """Writes all records; returns how many. What fails, or is cancelled, leaves what was there before."""
        count = 0
        with _appearing_whole(self.path) as file:
            file.write(_line(self._first()))
            async for record in records:
                file.write(_line(values.as_json(record)))
                count += 1
                shown.acknowledged(1)
            file.write(_line({"dstk_dump_end": True, "records": count}))
        return count

    def _first(self) -> dict[str, Any]:
        now_ms = time.time_ns() // 1_000_000
        bounds = [self.key_range.start.hex(), (self.key_range.end or b"").hex()]
        facts = {"cluster": self.cluster, "cluster_uid": self.uid, "created_at": values.timestamp(now_ms)}
        return {"dstk_dump": VERSION, **facts, "range_hex": bounds}


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


@contextmanager
def _appearing_whole(path: Path) -> Iterator[BinaryIO]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
