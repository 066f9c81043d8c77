"""A storage node or a metrics service whose disk and wall clock files tamper with: run as a script, with the name of the module
and its options.

The delay of the disk is in a node's own call of LevelDB's synced write, on the thread that writes: what the rest of the node
sees is an fsync that takes long. To slow the real one down takes rights or tools that a machine for tests need not have. The
clock is the one that everything of ours goes by. libfaketime, which sets that of a whole process, makes each look at a clock
so slow that leases run out under load without a single jump.
"""

import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

from dstk_service.clock import SystemClock
from dstk_storage.adapters.leveldb import LevelDBEngine
from dstk_storage.ports import Batch


class Tampering:
    """The faults of a process: files with numbers next to its data directory. None: no fault."""

    def __init__(self, data_dir: Path) -> None:
        self._slow = data_dir.with_suffix(".slow")
        self._ahead = data_dir.with_suffix(".ahead")

    @property
    def slow(self) -> float:
        """How many seconds each fsync of a storage node takes longer."""
        return _read(self._slow)

    @slow.setter
    def slow(self, seconds: float) -> None:
        _write(self._slow, seconds)

    @property
    def ahead(self) -> float:
        """How many seconds the clock is fast; slow, where negative."""
        return _read(self._ahead)

    @ahead.setter
    def ahead(self, seconds: float) -> None:
        _write(self._ahead, seconds)


def _read(file: Path) -> float:
    with suppress(FileNotFoundError):
        return float(file.read_text())
    return 0.0


def _write(file: Path, number: float) -> None:
    new = file.with_suffix(".new")
    new.write_text(str(number))
    new.replace(file)  # nobody reads half of it


def _tamper(with_it: Tampering) -> None:
    write, now_ms = LevelDBEngine.write, SystemClock.now_ms

    def slow_write(engine: LevelDBEngine, batch: Batch) -> None:
        time.sleep(with_it.slow)
        write(engine, batch)

    def fast_now_ms(clock: SystemClock) -> int:
        return now_ms(clock) + round(with_it.ahead * 1000)

    patch.object(LevelDBEngine, "write", slow_write).start()
    patch.object(SystemClock, "now_ms", fast_now_ms).start()


if __name__ == "__main__":
    service = import_module(f"{sys.argv.pop(1)}.__main__")
    _tamper(Tampering(Path(sys.argv[sys.argv.index("--data-dir") + 1])))
    service.main()
