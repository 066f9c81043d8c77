"""The data directory of a local cluster: the one place that knows the names of the files under it."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from dstk_localcluster.errors import LocalClusterError

MAX_LOG_BYTES = 16 << 20

ETCD = "etcd"
ROUTER = "router"
METRICS = "metrics"
PROMETHEUS, ALERTMANAGER, JAEGER = "prometheus", "alertmanager", "jaeger"


def storage_name(number: int) -> str:
    """Returns the name of a storage process, counted from 1."""
    return f"storage-{number}"


@dataclass(frozen=True, slots=True)
class ClusterDir:
    """Paths under a local cluster's data directory. Only `create` touches the file system."""

    root: Path

    @staticmethod
    def at(place: Path) -> "ClusterDir":
        """Returns the directory at an absolute or relative path. Raises `LocalClusterError` when the path is relative and the
        current directory was removed.
        """
        try:
            return ClusterDir(place.absolute())
        except FileNotFoundError:
            raise LocalClusterError(
                "the current directory does not exist any more", "change to another one, or give an absolute path"
            ) from None

    @property
    def plan(self) -> Path:
        """What the cluster consists of and which ports it has; outlives a stop."""
        return self.root / "cluster.json"

    @property
    def state(self) -> Path:
        """Which processes run; exists only while the cluster is up."""
        return self.root / "run.json"

    @property
    def lock(self) -> Path:
        """Locked by the one supervisor."""
        return self.root / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        """Log file of a detached supervisor."""
        return self.log("supervisor")

    def log(self, name: str) -> Path:
        """Log file of a process."""
        return self.root / "logs" / f"{name}.log"

    def data(self, name: str) -> Path:
        """Data directory of a process."""
        return self.root / name

    def create(self) -> None:
        """Creates missing directories. Raises OSError, and `LocalClusterError` when the path is not a directory."""
        if self.root.exists() and not self.root.is_dir():
            raise LocalClusterError(f"{self.root} is not a directory", "use another data directory")
        (self.root / "logs").mkdir(parents=True, exist_ok=True)


def rotate_log(log: Path) -> None:
    """Renames a log of more than 16 MiB to NAME.log.1, replacing the one before: a process that fails for weeks fills no disk.

    Call it before a process opens the log.
    """
    with contextlib.suppress(OSError):  # a log is not worth a process
        if log.stat().st_size > MAX_LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))
