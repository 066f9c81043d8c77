"""Where a local cluster keeps what: the one place that knows the file names under its data directory."""

import contextlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from dstk_cli.errors import CliError

DATA_DIR_VARIABLE = "DSTK_DATA_DIR"
DEFAULT_DATA_DIR = Path(".dstk")

LONGEST_LOG_BYTES = 16 << 20

ETCD = "etcd"
ROUTER = "router"


def storage_name(number: int) -> str:
    """Name of a storage process, counted from 1."""
    return f"storage-{number}"


@dataclass(frozen=True, slots=True)
class ClusterDir:
    """Paths under a local cluster's data directory. Touches nothing by itself, except where it says so."""

    root: Path

    @staticmethod
    def at(place: Path) -> "ClusterDir":
        """The one at a path as people give it. Raises `CliError` where that begins in a directory that is no more."""
        try:
            return ClusterDir(place.absolute())
        except FileNotFoundError:
            raise CliError(
                "the current directory does not exist any more",
                "change to another one, or give --data-dir as /a/whole/path",
            ) from None

    @property
    def plan(self) -> Path:
        """What the cluster consists of and which ports it has; outlives `down`."""
        return self.root / "cluster.json"

    @property
    def state(self) -> Path:
        """Which processes run; exists only while the cluster is up."""
        return self.root / "run.json"

    @property
    def lock(self) -> Path:
        """Held by the one supervisor."""
        return self.root / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        """What a detached supervisor prints."""
        return self.log("supervisor")

    def log(self, name: str) -> Path:
        """Log file of a process."""
        return self.root / "logs" / f"{name}.log"

    def data(self, name: str) -> Path:
        """Data directory of a process."""
        return self.root / name

    @property
    def flag(self) -> str:
        """What a command line needs in addition to mean this directory; empty where it is the default."""
        try:
            here = Path.cwd()
        except FileNotFoundError:  # it has been removed: nothing is the default there
            return f" --data-dir {shlex.quote(str(self.root))}"
        default = here / (os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR)
        shown = self.root.relative_to(here) if self.root.is_relative_to(here) else self.root
        return "" if self.root == default else f" --data-dir {shlex.quote(str(shown))}"

    def create(self) -> None:
        """Makes the directories that are missing. Raises OSError, and `CliError` where something else is at their place."""
        if self.root.exists() and not self.root.is_dir():
            raise CliError(f"{self.root} is not a directory", "give another --data-dir")
        (self.root / "logs").mkdir(parents=True, exist_ok=True)


def keep_short(log: Path) -> None:
    """Sets a log of more than 16 MiB aside, as NAME.log.1, in place of the one before: what fails for weeks fills no disk.

    To be called before a process begins to write to it.
    """
    with contextlib.suppress(OSError):  # a log is not worth a process
        if log.stat().st_size > LONGEST_LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))


def write_atomic(path: Path, text: str, *, lasting: bool = False) -> None:
    """Replaces a file whole: a reader, or a crash, sees the old content or the new one. Raises OSError, and leaves the old one
    alone then. `lasting`: also a crash of the machine.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        error.filename, error.filename2 = str(path), None
        raise
