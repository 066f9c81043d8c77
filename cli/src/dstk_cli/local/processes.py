"""Processes that are remembered across restarts of the one who started them.

A process id alone is not enough: the system gives it away again. With the time at which the process was created it is
never mistaken for another.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

_CREATED_TOLERANCE_S = 1.5
"""The time of creation is computed from the time since boot, which moves when the clock is set."""


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process, by its id and the Unix time in seconds at which it was created."""

    pid: int
    created: float

    @staticmethod
    def of(pid: int) -> "ProcessRef | None":
        """The process that has this id now; None when there is none."""
        try:
            return ProcessRef(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    @staticmethod
    def own() -> "ProcessRef":
        """The calling process."""
        return ProcessRef(os.getpid(), psutil.Process().create_time())

    def find(self) -> psutil.Process | None:
        """The process if it still runs; None when it has ended or its id is another's by now."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) <= _CREATED_TOLERANCE_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.find() is not None


def end_all(refs: Iterable[ProcessRef], grace: float) -> list[ProcessRef]:
    """Asks the processes to end, waits `grace` seconds, kills the rest. Returns those that were still running.

    Not for children of the caller: it would take their exit codes.
    """
    found = [(ref, process) for ref in refs if (process := ref.find())]
    for _, process in found:
        _signal(process.terminate)
    _, stubborn = psutil.wait_procs([process for _, process in found], timeout=grace)
    for process in stubborn:
        _signal(process.kill)
    psutil.wait_procs(stubborn, timeout=grace)
    return [ref for ref, _ in found]


def kill_all(refs: Iterable[ProcessRef]) -> None:
    """Sends SIGKILL and does not wait: for children of the caller, who waits for them otherwise."""
    for ref in refs:
        if process := ref.find():
            _signal(process.kill)


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return
