"""A small disk for a process, that can be filled and damaged from outside.

It is a file system in memory, mounted where only the process itself sees it: no other one is disturbed, and it is gone with its
process. Outside, it is reached through the process's entry in /proc.
"""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

_MOUNT = 'mount -t tmpfs -o size="$0" none "$1" && shift && exec "$@"'


def with_own_disk(directory: Path, size: int) -> tuple[str, ...]:
    """The prefix of a command that mounts a disk of `size` bytes at the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    return "unshare", "--mount", *user, "sh", "-c", _MOUNT, str(size), str(directory)


def are_possible(directory: Path) -> bool:
    """Whether this machine allows mounts; containers often do not."""
    try:
        return (
            subprocess.run([*with_own_disk(directory, 1 << 20), "true"], capture_output=True, check=False).returncode
            == 0
        )
    except FileNotFoundError:
        return False


class Disk:
    """The disk of a running process, at the directory that the process sees."""

    def __init__(self, pid: int, directory: Path) -> None:
        self.directory = Path(f"/proc/{pid}/root") / directory.relative_to("/")
        self._ballast = self.directory / "ballast"

    def fill(self, leaving: int = 0) -> None:
        """Fills the disk up to `leaving` free bytes."""
        with self._ballast.open("ab") as ballast:
            while (much := self.free_bytes() - leaving) > 0:
                with suppress(OSError):  # the process itself has just taken some of it
                    os.posix_fallocate(ballast.fileno(), ballast.seek(0, os.SEEK_END), much)

    def make_room(self) -> None:
        """Undoes `fill`."""
        self._ballast.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """For anybody."""
        found = os.statvfs(self.directory)
        return found.f_bavail * found.f_frsize

    def damage_tables(self) -> int:
        """Changes a byte in each kilobyte of all LevelDB tables, that is in most blocks; returns how many tables there were."""
        tables = list(self.directory.glob("leveldb/*.ldb"))
        for table in tables:
            content = bytearray(table.read_bytes())
            content[100 :: 1 << 10] = bytes(byte ^ 1 for byte in content[100 :: 1 << 10])
            with table.open("r+b") as file:  # in place, for the process has it open
                file.write(content)
        return len(tables)
