"""Who runs the cluster of a data directory: at most one supervisor, and no process of an earlier one.

A file lock names the one supervisor; the system releases it however the supervisor ends.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from dstk_localcluster import state_file
from dstk_localcluster.directory import ETCD, ClusterDir
from dstk_localcluster.errors import AlreadyUp, LocalClusterError
from dstk_localcluster.processes import end_all

STOP_GRACE_S = 10.0
"""Seconds from SIGTERM to SIGKILL."""


@contextmanager
def sole_supervisor(directory: ClusterDir) -> Iterator[None]:
    """Holds the directory's lock for the block. Raises `AlreadyUp` when another supervisor runs its cluster."""
    directory.create()
    directory.lock.touch()
    if is_supervised(directory):
        raise AlreadyUp(directory.root)
    with _locked(directory):
        yield


def is_supervised(directory: ClusterDir) -> bool:
    """Returns whether a supervisor of this directory runs, one that is still starting or stopping included."""
    running = state_file.load(directory.state)
    if running is not None and running.supervisor.alive:  # also when the lock file was removed
        return True
    if not directory.lock.exists():
        return False
    try:
        with _locked(directory):
            return False
    except AlreadyUp:
        return True


def end_orphans(directory: ClusterDir) -> list[str]:
    """Ends the processes that a killed supervisor left behind; returns the names of those that were running.

    Call it while no supervisor runs. Blocks for up to twice `STOP_GRACE_S`.
    """
    left = state_file.load(directory.state)
    ended = set(end_all(left.running(), STOP_GRACE_S)) if left else set()
    directory.state.unlink(missing_ok=True)
    return [process.name for process in left.processes if process.process in ended] if left else []


def has_run(directory: ClusterDir) -> bool:
    """Returns whether the directory holds a cluster that has run. Raises `LocalClusterError` when it holds the records of
    storage nodes without the etcd that holds their map.
    """
    if (directory.data(ETCD) / "member").exists():
        return True
    if found := sorted(path.parent.name for path in directory.root.glob("*/node.json")):
        gone = f"{directory.data(ETCD)} is gone or empty, and {', '.join(found)} hold records of a cluster whose map was in it"
        raise LocalClusterError(
            gone, "put that directory back from a copy, or use another data directory for a new cluster"
        )
    return False


@contextmanager
def _locked(directory: ClusterDir) -> Iterator[None]:
    with directory.lock.open("r+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp(directory.root) from None
        yield
