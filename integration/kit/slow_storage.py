"""A storage node whose disk is slow for as long as a file says by how much: run as a script, with the options of
`python -m dstk_storage`.

The delay is in the node's own call of LevelDB's synced write, on the thread that writes: what the rest of the node sees is an
fsync that takes long. To slow the real one down takes rights or tools that a machine for tests need not have.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path

from dstk_storage import __main__ as service
from dstk_storage.adapters.leveldb import LevelDBEngine
from dstk_storage.ports import Batch


def slowness(data_dir: Path) -> Path:
    """The file that says how many seconds each fsync takes longer; none: it is as fast as it is."""
    return data_dir.with_suffix(".slow")


def _slow_down(file: Path) -> None:
    write = LevelDBEngine.write

    def slow_write(engine: LevelDBEngine, batch: Batch) -> None:
        with suppress(FileNotFoundError):
            time.sleep(float(file.read_text()))
        write(engine, batch)

    LevelDBEngine.write = slow_write  # type: ignore[method-assign]


if __name__ == "__main__":
    _slow_down(slowness(Path(sys.argv[sys.argv.index("--data-dir") + 1])))
    service.main()
