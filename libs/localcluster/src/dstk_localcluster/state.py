"""What a local cluster is doing: its supervisor and its processes, as run.json holds them."""

import errno
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from dstk_localcluster.processes import ProcessRef


class Phase(StrEnum):
    """What a process, or the cluster as a whole, is doing."""

    WAITING = "waiting"
    STARTING = "starting"
    SERVING = "serving"
    RESTARTING = "restarting"
    FAILING = "failing"
    """It died several times in a row before it served; the next attempt follows."""
    DEGRADED = "degraded"
    """Of the cluster: it serves, but some of its parts do not."""
    SILENT = "silent"
    """The process runs but does not report that it serves."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A supervised process. Times are in Unix seconds, 0: never.

    `operations`: host:port of its /metrics, and `page`: URL of its page for people; empty: it has none. `started_at`: when the
    running process started. `since`: when it last began or ceased to serve. `last_exit`: how it ended the last time, and
    `reason`: why, from its log; empty while it serves. `probe`: URL that answers 200 while it serves, of a program that watches
    the cluster; empty: the process is a part of the cluster.
    """

    name: str
    address: str
    log: str
    phase: Phase = Phase.WAITING
    process: ProcessRef | None = None
    started_at: float = 0.0
    restarts: int = 0
    last_exit: str = ""
    since: float = 0.0
    reason: str = ""
    operations: str = ""
    page: str = ""
    probe: str = ""

    def observed(self, *, supervised: bool) -> "ProcessState":
        """Returns the process as DOWN if it is gone. A supervised one that has none waits for its next start."""
        if self.process.alive if self.process else supervised:
            return self
        return replace(self, phase=Phase.DOWN, process=None)


@dataclass(frozen=True, slots=True)
class DirectoryId:
    """Identifies the directory that a state describes: a copy of run.json elsewhere names processes that are not the copy's."""

    path: str
    device: int
    inode: int

    @staticmethod
    def of(directory: Path) -> "DirectoryId":
        """Returns the identity of an existing directory. Raises OSError."""
        real = directory.resolve()
        found = real.stat()
        return DirectoryId(str(real), found.st_dev, found.st_ino)

    @property
    def is_there(self) -> bool:
        """Whether the path still leads to this directory: it may have been removed, moved or replaced."""
        try:
            return DirectoryId.of(Path(self.path)) == self
        except OSError:
            return False

    def check(self) -> None:
        """Raises FileNotFoundError unless the path still leads to this directory."""
        if not self.is_there:
            raise FileNotFoundError(
                errno.ENOENT, "the data directory has been removed, moved away or replaced", self.path
            )


@dataclass(frozen=True, slots=True)
class ClusterState:
    """A running cluster: its supervisor, and its processes in the order in which they start.

    `router`: the router's host:port. `trouble`: what the supervisor itself fails to do, such as writing run.json, or
    empty.
    """

    directory: DirectoryId
    supervisor: ProcessRef
    phase: Phase
    router: str
    started_at: float
    processes: tuple[ProcessState, ...]
    trouble: str = ""

    def with_processes(self, processes: tuple[ProcessState, ...]) -> "ClusterState":
        """Returns the same cluster with these processes, and the phase that follows from them."""
        return replace(self, processes=processes, phase=overall(self.phase, processes))

    def observed(self, *, supervised: bool) -> "ClusterState":
        """Returns the state with every process that is gone as DOWN, whatever its supervisor wrote last."""
        return self.with_processes(tuple(process.observed(supervised=supervised) for process in self.processes))

    @property
    def parts(self) -> list[ProcessState]:
        """The processes that the cluster consists of."""
        return [process for process in self.processes if not process.probe]

    @property
    def watchers(self) -> list[ProcessState]:
        """The processes that watch it."""
        return [process for process in self.processes if process.probe]

    def running(self) -> list[ProcessRef]:
        """Returns the processes that ran when this was written, in the order in which to stop them."""
        return [process.process for process in reversed(self.processes) if process.process]


def overall(phase: Phase, processes: Iterable[ProcessState]) -> Phase:
    """Returns the phase of a cluster that is in `phase` by its supervisor and has these processes. Those that watch it do not
    count.
    """
    if phase not in {Phase.SERVING, Phase.DEGRADED}:
        return phase
    parts = (process for process in processes if not process.probe)
    return Phase.SERVING if all(part.phase is Phase.SERVING for part in parts) else Phase.DEGRADED
