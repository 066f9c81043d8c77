"""Where a local cluster keeps what: the one place that knows the file names under its data directory."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

DATA_DIR_VARIABLE = "DSTK_DATA_DIR"
DEFAULT_DATA_DIR = Path(".dstk")

ETCD = "etcd"
ROUTER = "router"


def storage_name(number: int) -> str:
    """Name of a storage process, counted from 1."""
    return f"storage-{number}"


@dataclass(frozen=True, slots=True)
class ClusterDir:
    """Paths under a local cluster's data directory. Touches nothing by itself, except where it says so."""

    root: Path

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
        default = Path(os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR).absolute()
        here = Path.cwd()
        shown = self.root.relative_to(here) if self.root.is_relative_to(here) else self.root
        return "" if self.root == default else f" --data-dir {shlex.quote(str(shown))}"

    def create(self) -> None:
        """Makes the directories that are missing."""
        (self.root / "logs").mkdir(parents=True, exist_ok=True)


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
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
