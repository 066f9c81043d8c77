"""run.json: written by the supervisor at every change, read by everybody else."""

import errno
import time
from pathlib import Path

from dstk_localcluster.state import ClusterState, DirectoryId
from dstk_service.jsonfile import DamagedFile, JsonFile, UnreadableFile
from dstk_service.whole_files import write_atomic

FILE = JsonFile(ClusterState, version=1)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_BLOCK = 4096
_READS = 3
_BETWEEN_READS_S = 0.01


def save(path: Path, state: ClusterState) -> None:
    """Writes the state. Raises OSError, also when another directory has taken the place of the state's own.

    Replaces the file atomically. On a full disk it overwrites the present file: padding leaves space for what is longer, and a
    reader that sees half of each state reads again. A crash of the machine ends the processes too, so the file is not synced.
    """
    state.directory.check()
    content = FILE.encode(state)
    padded = content.ljust(_BLOCK * (len(content) // _BLOCK + 2))
    try:
        write_atomic(path, padded, durable=False)
    except OSError as error:
        if error.errno not in _NO_ROOM or not path.exists():
            raise
        _overwrite(path, padded)


def load(path: Path) -> ClusterState | None:
    """Returns the last state of the directory that holds the file. None when there is no file, when it is unreadable (nothing
    depends on it then), or when it is a copy of another directory's.
    """
    for _ in range(_READS):
        try:
            found = FILE.read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except DamagedFile:
            time.sleep(_BETWEEN_READS_S)
        except UnreadableFile:
            return None
        else:
            return found if found.directory == DirectoryId.of(path.parent) else None
    return None


def _overwrite(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()
