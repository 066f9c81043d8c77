"""References to processes that stay valid when the process that started them restarts.

A process id alone is not enough: the system reuses it. Together with the time of creation it identifies the process. On Linux
that time counts from a boot with an id, so it stays the same when the clock is set, as after a suspension.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

_CREATED_TOLERANCE_S = 1.5
"""Outside Linux the time of creation is computed from the wall clock."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process, by its id and its time of creation: in seconds since the boot with the id `boot`, or in Unix time if that is
    empty.
    """

    pid: int
    created: float
    boot: str = ""

    @staticmethod
    def of(pid: int) -> "ProcessRef | None":
        """Returns the process that has this id now; None when there is none."""
        try:
            return ProcessRef(pid, *_birth(pid))
        except psutil.NoSuchProcess:
            return None

    @staticmethod
    def own() -> "ProcessRef":
        """Returns the calling process."""
        return ProcessRef(os.getpid(), *_birth(os.getpid()))

    def find(self) -> psutil.Process | None:
        """Returns the process if it still runs; None when it has ended, or another process has its id."""
        try:
            process = psutil.Process(self.pid)
            created, boot = _birth(self.pid)
            same = boot == self.boot and abs(created - self.created) <= (0 if boot else _CREATED_TOLERANCE_S)
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.find() is not None

    def memory_bytes(self) -> int | None:
        """Returns its resident memory; None when it has ended."""
        found = self.find()
        try:
            return int(found.memory_info().rss) if found else None
        except psutil.NoSuchProcess:
            return None


def _birth(pid: int) -> tuple[float, str]:
    """Returns `created` and `boot` of the process that has this id now. Raises psutil.NoSuchProcess."""
    try:
        boot, status = _BOOT.read_text().strip(), Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return psutil.Process(pid).create_time(), ""
    ticks = int(status.rpartition(b")")[2].split()[19])  # proc(5): field 22; the name before may hold anything
    return ticks / os.sysconf("SC_CLK_TCK"), boot


def end_all(refs: Iterable[ProcessRef], grace: float) -> list[ProcessRef]:
    """Sends SIGTERM, waits `grace` seconds, kills the rest. Returns the processes that were running.

    Not for children of the caller: this would consume their exit codes.
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
    """Sends SIGKILL without waiting: for children of the caller, which waits for them itself."""
    for ref in refs:
        if process := ref.find():
            _signal(process.kill)


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return
