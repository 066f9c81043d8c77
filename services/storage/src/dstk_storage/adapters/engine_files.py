"""The files of a LevelDB: whether they are all there, and making new ones in their place without ever deleting the only ones.

leveldb             the engine; only ever put there whole, by a rename
leveldb.new         one that is being made; of no worth to anybody
leveldb.damaged-N   engines that were moved aside, in order
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from dstk_storage.adapters import manifest
from dstk_storage.ports import EngineError

KEPT = 3
"""Engines that were moved aside: the first, which holds what was there before all trouble, and the newest others. One that
fails again and again must not fill the disk.
"""

_KEPT_NAME = re.compile(r"\.damaged-(\d{1,9})$")


class EngineFiles:
    """The files at and beside a path. Everything raises EngineError where the system refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def damage(self) -> str:
        """What is wrong with the files of an engine that nobody has open; empty: they are those that LevelDB has left."""
        try:
            return self._damage()
        except OSError as error:
            raise EngineError(f"cannot read {str(self.path)!r}: {error}. Give this process its rights back") from error

    def _damage(self) -> str:
        if not self.path.is_dir():
            return "is no directory" if self.path.exists() else "is missing"
        current = self.path / "CURRENT"
        if not current.is_file():
            return "CURRENT is missing"
        name = current.read_text(errors="replace")
        path = self.path / name.removesuffix("\n")
        if not re.fullmatch(r"MANIFEST-\d+\n", name) or not path.is_file():
            return f"CURRENT names no file: {name[:40]!r}"
        try:
            version = manifest.read(path.read_bytes())
        except manifest.ManifestDamaged as error:
            return f"{path.name} is damaged: {error}"
        return self._missing(version)

    def _missing(self, version: manifest.Version) -> str:
        if version.log and not (self.path / f"{version.log:06d}.log").is_file():
            return f"{version.log:06d}.log is missing"
        for (_, number), size in version.tables.items():
            paths = [self.path / f"{number:06d}{suffix}" for suffix in (".ldb", ".sst")]
            found = next((path.stat().st_size for path in paths if path.is_file()), None)
            if found is None:
                return f"{paths[0].name} is missing"
            if found != size:
                return f"{paths[0].name} has {found} bytes rather than {size}"
        return ""

    def put_aside(self) -> str:
        """Moves the engine aside, and returns where it is then; empty: there was none."""
        kept = self.kept()
        number = max((_number(path) for path in kept), default=0) + 1
        target = self.path.with_name(f"{self.path.name}.damaged-{number}")
        try:
            self.path.rename(target)
            self._sync()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise EngineError(f"cannot move {str(self.path)!r} aside: {error}") from error
        for path in [*kept, target][1 : 1 - KEPT]:
            remove(path)
        return str(target)

    def make(self, fill: Callable[[Path], None]) -> None:
        """Puts an engine there that `fill` makes, where there is none."""
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            remove(beside)
            fill(beside)
            beside.rename(self.path)
            self._sync()
        except OSError as error:
            raise EngineError(f"cannot make {str(self.path)!r}: {error}") from error

    def kept(self) -> list[Path]:
        """The engines that were moved aside, the oldest first."""
        found = self.path.parent.glob(f"{self.path.name}.damaged-*")
        return sorted((path for path in found if _KEPT_NAME.search(path.name)), key=_number)

    def _sync(self) -> None:
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def discard(kept: str) -> None:
    """Deletes an engine that was moved aside and that nobody needs."""
    if kept:
        remove(Path(kept))


def remove(path: Path) -> None:
    """Deletes whatever is there: a directory as far as that goes, or what is in the place of one. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _number(path: Path) -> int:
    found = _KEPT_NAME.search(path.name)
    return int(found[1]) if found else 0
