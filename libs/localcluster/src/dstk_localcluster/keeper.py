"""Keeps one process alive: starts it, watches it, restarts it when it dies, stops it when asked."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

from dstk_localcluster import exit_reason
from dstk_localcluster.errors import LocalClusterError
from dstk_localcluster.processes import ProcessRef
from dstk_localcluster.programs import Program
from dstk_localcluster.running import RunningProcess, opened_log, spawn
from dstk_localcluster.state import DirectoryId, Phase, ProcessState
from dstk_service.backoff import Backoff

BACKOFF = Backoff(first=0.2, longest=5.0)
_STABLE_S = 20.0
_FAILURES = 3
"""After so many deaths in a row without having served, a process counts as failing."""
_LOG_TAIL_BYTES = 256 << 10


class ProcessKeeper:
    """Keeps one process alive from `start` to `stop`: retries whatever fails, with growing pauses.

    `directory` is the process's current directory; if another one has taken its place, the process is not started. `serving`
    returns once the process serves, however long that takes.

    Invariants: at most one process of it exists at a time; every change of `state` is reported, the process id before
    anything waits for the process. `report` does not raise.
    """

    def __init__(
        self,
        program: Program,
        directory: DirectoryId,
        serving: Callable[[], Awaitable[None]],
        report: Callable[[ProcessState], None],
    ) -> None:
        self._program = program
        self._directory = directory
        self._serving = serving
        self._report = report
        self._process: RunningProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._served, self._failed = asyncio.Event(), asyncio.Event()
        self._failures = 0
        self._unlogged = ""
        """Why the running process has no log; empty: it has one."""
        self._log_start = 0
        """Offset in the log file at which the running process's output starts."""
        self.state = ProcessState(
            program.name,
            program.address,
            str(program.log),
            since=time.time(),
            operations=program.operations,
            page=program.page,
            probe=program.probe,
        )

    def start(self) -> None:
        """Begins to keep the process alive; returns at once."""
        self._served.clear()
        self._failed.clear()
        self._failures = 0
        self._task = asyncio.create_task(self._keep(), name=f"keep {self._program.name}")

    async def until_serving(self) -> None:
        """Waits until the process has served once since `start`.

        Raises `LocalClusterError` when it dies several times in a row before; the keeper goes on trying all the same.
        """
        waits = [asyncio.create_task(event.wait()) for event in (self._served, self._failed)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not self._served.is_set():
            raise self.failure()

    def failure(self) -> LocalClusterError:
        """Returns the error that describes a process that does not serve."""
        name, now = self._program.name, self.state
        if now.last_exit:
            return LocalClusterError(f"{name} does not start ({now.last_exit}): {now.reason}", f"its log: {now.log}")
        return LocalClusterError(f"{name} does not serve after {time.time() - now.since:.0f} s", f"its log: {now.log}")

    async def stop(self, grace: float) -> None:
        """Ends the process for good, with SIGTERM, and with SIGKILL when it still runs after `grace` seconds; 0: at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._process is not None and not self._process.has_ended:
            self._change(phase=Phase.STOPPING)
            await self._process.end(grace)
        self._change(phase=Phase.STOPPED, process=None)

    async def _keep(self) -> None:
        deaths = 0
        while True:
            began = time.monotonic()
            try:
                how, why = await self._run_once()
            except Exception as error:  # noqa: BLE001 - a keeper that ends keeps nothing alive
                how, why = "not started", f"{type(error).__name__}: {error}"
                if self._process is not None:
                    await self._process.end(grace=0)
            deaths = 1 if time.monotonic() - began > _STABLE_S else deaths + 1
            self._note_end(how, why)
            await asyncio.sleep(BACKOFF.delay(deaths))

    async def _run_once(self) -> tuple[str, str]:
        """Returns how the process ended, and why. Raises what the system refuses."""
        process = self._spawn()
        serving = asyncio.create_task(self._mark_serving())
        try:
            code = await process.wait()
        finally:
            serving.cancel()
        if code == -signal.SIGKILL:
            return f"signal {-code}", "killed, by a user or by the system for want of memory"
        return (f"signal {-code}" if code < 0 else f"exit {code}"), await asyncio.to_thread(self._exit_reason)

    def _spawn(self) -> RunningProcess:
        self._directory.check()
        with self._log() as log:
            self._log_start = os.fstat(log).st_size
            process = RunningProcess(spawn(self._program, Path(self._directory.path), log))
        self._process = process
        phase = Phase.FAILING if self._failures >= _FAILURES else Phase.STARTING
        self._change(phase=phase, process=ProcessRef.of(process.pid), started_at=time.time())
        return process

    @contextlib.contextmanager
    def _log(self) -> Iterator[int]:
        """The log's descriptor. A process whose log cannot be opened runs without one."""
        with contextlib.ExitStack() as stack:
            self._unlogged = ""
            try:
                log = stack.enter_context(opened_log(self._program.log))
            except OSError as error:
                self._unlogged = f"it had no log: {error}"
                log = os.open(os.devnull, os.O_WRONLY)
                stack.callback(os.close, log)
            yield log

    async def _mark_serving(self) -> None:
        while True:
            try:
                await self._serving()
                break
            except Exception as error:  # noqa: BLE001 - it is reported, and the check repeated
                self._change(reason=f"its health cannot be checked: {error}")
                await asyncio.sleep(BACKOFF.longest)
        self._served.set()
        self._failures = 0
        since = self.state.since if self.state.phase is Phase.SERVING else time.time()
        self._change(phase=Phase.SERVING, since=since, reason="")

    def _note_end(self, how: str, why: str) -> None:
        self._failures += 1
        failing = self._failures >= _FAILURES
        since = time.time() if self.state.phase is Phase.SERVING else self.state.since
        self._change(
            phase=Phase.FAILING if failing else Phase.RESTARTING,
            process=None,
            last_exit=how,
            reason=why,
            since=since,
            restarts=self.state.restarts + 1,
        )
        if failing:
            self._failed.set()

    def _exit_reason(self) -> str:
        if self._unlogged:
            return self._unlogged
        log = self._program.log
        try:
            found, free = exit_reason.of(self._log_tail()), shutil.disk_usage(log).free
        except OSError as error:
            return f"its log cannot be read: {error}"
        return "the disk of its log is full" if found == exit_reason.NOTHING and not free else found

    def _log_tail(self) -> str:
        log = self._program.log
        with log.open("rb") as file:
            file.seek(max(self._log_start, log.stat().st_size - _LOG_TAIL_BYTES))
            return file.read().decode(errors="replace")

    def _change(self, **fields: object) -> None:
        self.state = replace(self.state, **fields)  # type: ignore[arg-type]  # checked by the tests of each transition
        self._report(self.state)
