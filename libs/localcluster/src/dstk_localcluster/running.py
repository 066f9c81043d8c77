"""A process that this one has started, and its end."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from dstk_localcluster.directory import rotate_log
from dstk_localcluster.programs import Program


def spawn(program: Program, directory: Path, log: int) -> "subprocess.Popen[bytes]":
    """Starts the program in a session of its own with `directory` as its current one and both outputs to the descriptor `log`.
    Raises OSError.

    A terminal's Ctrl-C reaches only the caller, who then stops its processes in order. subprocess starts by vfork: after
    uvloop's fork, gRPC's handlers in the child crash it now and then before it becomes another program.
    """
    return subprocess.Popen(  # noqa: S603 - the program is ours
        program.argv,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd=directory,
        env=program.environment,
    )


@contextlib.contextmanager
def opened_log(path: Path) -> Iterator[int]:
    """Yields a descriptor that appends to the log, which is rotated first. Raises OSError."""
    rotate_log(path)
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        yield log
    finally:
        os.close(log)


class RunningProcess:
    """A child process, awaited on the event loop that made this. A thread waits for its end, so it needs no child watcher."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        try:
            threading.Thread(target=self._watch, name=f"wait for process {process.pid}", daemon=True).start()
        except RuntimeError:  # the system allows no further thread: a process that nobody waits for must not run
            process.kill()
            process.wait()
            raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether its end was noticed."""
        return self._ended.done()

    async def wait(self) -> int:
        """Waits for the end; returns the exit code, or the negative number of the signal that killed it."""
        return await asyncio.shield(self._ended)

    async def end(self, grace: float) -> None:
        """Sends SIGTERM, and SIGKILL when it still runs after `grace` seconds; waits for the end. Grace 0: SIGKILL at once."""
        if grace:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), grace)
                return
        self._signal(signal.SIGKILL)
        await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)  # does nothing for a process whose end is known: its id may be another's

    def _watch(self) -> None:
        code = self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits
            self._loop.call_soon_threadsafe(self._ended.set_result, code)
