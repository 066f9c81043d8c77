"""One supervised process: started, watched, started again when it dies, stopped when asked.

A child leads a session of its own, so that a Ctrl-C in the terminal reaches the supervisor alone, which then stops the
children in order.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dstk_cli.errors import CliError
from dstk_cli.local import last_words
from dstk_cli.local.layout import keep_short
from dstk_cli.local.processes import ProcessRef
from dstk_cli.local.state import ChildState, Home, Phase

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
_STABLE_S = 20.0
_FAILURES = 3
"""So many deaths in a row without having served, and a process is said to fail."""
_LOG_TAIL_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to run a process. `serving` returns once it serves, however long that takes.

    The process gets exactly `environment`, and `home` as its current directory; where that is another one by now, or none, it
    is not started.
    """

    name: str
    address: str
    argv: tuple[str, ...]
    log: Path
    serving: Callable[[], Awaitable[None]]
    home: Home
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """Keeps one process alive, for as long as it is not told to stop: whatever fails is tried again, later and later.

    Invariants: at most one process of it exists at a time; every change of `state` is reported, the process id before
    anything waits for the process. `report` does not raise.
    """

    def __init__(self, spec: ChildSpec, report: Callable[[ChildState], None]) -> None:
        self._spec = spec
        self._report = report
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._served, self._failed = asyncio.Event(), asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._failures = 0
        self._unlogged = ""
        """Why the process that runs has no log; empty: it has one."""
        self._log_begins = 0
        """Where the log of the process that runs begins in the file."""
        self.state = ChildState(spec.name, spec.address, str(spec.log), since=time.time())

    def start(self) -> None:
        """Begins to keep the process alive; returns at once."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self._spec.name}")

    def hold(self) -> None:
        """From now on the process is not started again when it ends, until `release`."""
        self._free.clear()

    def release(self) -> None:
        """It is started again, if it has ended."""
        self._free.set()

    async def until_serving(self) -> None:
        """Returns once the process has served for the first time.

        Raises `CliError` when it has died again and again before; it is tried further all the same.
        """
        waits = [asyncio.create_task(event.wait()) for event in (self._served, self._failed)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not self._served.is_set():
            raise self.failure()

    def failure(self) -> CliError:
        """What is to be said about a process that does not serve."""
        name, now = self._spec.name, self.state
        if now.last_exit:
            return CliError(f"{name} does not start ({now.last_exit}): {now.reason}", f"its log: {now.log}")
        return CliError(f"{name} does not serve after {time.time() - now.since:.0f} s", f"its log: {now.log}")

    async def stop(self, grace: float) -> None:
        """Ends the process: SIGTERM, and SIGKILL when it is still there after `grace` seconds."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._process is not None and self._process.returncode is None:
            self._change(phase=Phase.STOPPING)
            await self._end(grace)
        self._change(phase=Phase.STOPPED, process=None)

    async def _end(self, grace: float) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _keep(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            try:
                how, why = await self._run_once()
            except Exception as error:  # noqa: BLE001 - a keeper that ends keeps nothing alive
                how, why = "not started", f"{type(error).__name__}: {error}"
                await self._end(0)
            if time.monotonic() - began > _STABLE_S:
                pause = FIRST_PAUSE_S
            self._note_end(how, why)
            await asyncio.sleep(pause)
            await self._free.wait()
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _run_once(self) -> tuple[str, str]:
        """How the process ended, and why. Raises what the system refuses."""
        process = await self._spawn()
        serving = asyncio.create_task(self._mark_serving())
        try:
            code = await process.wait()
        finally:
            serving.cancel()
        if code == -signal.SIGKILL:
            return f"signal {-code}", "killed, by somebody or by the system for want of memory"
        return (f"signal {-code}" if code < 0 else f"exit {code}"), await asyncio.to_thread(self._last_words)

    async def _spawn(self) -> Process:
        self._spec.home.check()
        with self._log() as log:
            process = await asyncio.create_subprocess_exec(
                *self._spec.argv,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._spec.home.path,
                env=self._spec.environment,
            )
        self._process = process
        phase = Phase.FAILING if self._failures >= _FAILURES else Phase.STARTING
        self._change(phase=phase, process=ProcessRef.of(process.pid), started_at=time.time())
        return process

    @contextlib.contextmanager
    def _log(self) -> Iterator[int]:
        """The log's descriptor; a process that cannot have one serves without."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._unlogged = ""
        keep_short(self._spec.log)
        try:
            log = os.open(self._spec.log, flags, 0o644)
        except OSError as error:
            self._unlogged = f"it had no log: {error}"
            log = os.open(os.devnull, os.O_WRONLY)
        try:
            self._log_begins = os.fstat(log).st_size
            yield log
        finally:
            os.close(log)

    async def _mark_serving(self) -> None:
        while True:
            try:
                await self._spec.serving()
                break
            except Exception as error:  # noqa: BLE001 - it is told, and asked again
                self._change(reason=f"it cannot be asked whether it serves: {error}")
                await asyncio.sleep(LONGEST_PAUSE_S)
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

    def _last_words(self) -> str:
        if self._unlogged:
            return self._unlogged
        try:
            said, free = last_words.of(self._log_tail()), shutil.disk_usage(self._spec.log).free
        except OSError as error:
            return f"its log cannot be read: {error}"
        return "the disk of its log is full" if said == last_words.NOTHING and not free else said

    def _log_tail(self) -> str:
        with self._spec.log.open("rb") as file:
            file.seek(max(self._log_begins, self._spec.log.stat().st_size - _LOG_TAIL_BYTES))
            return file.read().decode(errors="replace")

    def _change(self, **fields: object) -> None:
        self.state = replace(self.state, **fields)  # type: ignore[arg-type]  # checked by the tests of each transition
        self._report(self.state)
