"""One supervised process: started, watched, started again when it dies, stopped when asked.

A child leads a session of its own, so that a Ctrl-C in the terminal reaches the supervisor alone, which then stops the
children in order.
"""

import asyncio
import json
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dstk_cli.errors import CliError
from dstk_cli.local.processes import ProcessRef
from dstk_cli.local.state import ChildState, Phase

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
_STABLE_S = 20.0
_DEATHS_BEFORE_GIVING_UP = 3
_LOG_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to run a process. `serving` returns once it serves, however long that takes."""

    name: str
    address: str
    argv: tuple[str, ...]
    log: Path
    serving: Callable[[], Awaitable[None]]


class Child:
    """Keeps one process alive.

    Invariants: at most one process of it exists at a time; every change of `state` is reported, the process id before
    anything waits for the process.
    """

    def __init__(self, spec: ChildSpec, report: Callable[[ChildState], None]) -> None:
        self._spec = spec
        self._report = report
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._served = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._deaths = 0
        self.state = ChildState(spec.name, spec.address, str(spec.log))

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
        """Returns once the process has served for the first time. Raises `CliError` when it keeps dying before."""
        assert self._keeper is not None
        waiter = asyncio.create_task(self._served.wait())
        try:
            await asyncio.wait([waiter, self._keeper], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        if self._keeper.done():
            self._keeper.result()

    async def stop(self, grace: float) -> None:
        """Ends the process: SIGTERM, and SIGKILL when it is still there after `grace` seconds."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        process = self._process
        if process is not None and process.returncode is None:
            self._change(phase=Phase.STOPPING)
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), grace)
            except TimeoutError:
                process.kill()
                await process.wait()
        self._change(phase=Phase.STOPPED, process=None)

    async def _keep(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            why = await self._run_once()
            if time.monotonic() - began > _STABLE_S:
                pause = FIRST_PAUSE_S
            self._give_up_if_hopeless(why)
            self._change(phase=Phase.RESTARTING, process=None, last_exit=why, restarts=self.state.restarts + 1)
            await asyncio.sleep(pause)
            await self._free.wait()
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _run_once(self) -> str:
        try:
            process = await self._spawn()
        except OSError as error:
            return str(error)
        serving = asyncio.create_task(self._mark_serving())
        try:
            code = await process.wait()
        finally:
            serving.cancel()
        return f"signal {-code}" if code < 0 else f"exit {code}"

    async def _spawn(self) -> Process:
        with self._spec.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._spec.argv, stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._process = process
        self._change(phase=Phase.STARTING, process=ProcessRef.of(process.pid), started_at=time.time())
        return process

    async def _mark_serving(self) -> None:
        await self._spec.serving()
        self._served.set()
        self._change(phase=Phase.SERVING)

    def _give_up_if_hopeless(self, why: str) -> None:
        self._deaths += 1
        if self._served.is_set() or self._deaths < _DEATHS_BEFORE_GIVING_UP:
            return
        last = _last_line(self._spec.log)
        raise CliError(f"{self._spec.name} does not start ({why}): {last}", f"its log: {self._spec.log}")

    def _change(self, **fields: object) -> None:
        self.state = replace(self.state, **fields)  # type: ignore[arg-type]  # checked by the tests of each transition
        self._report(self.state)


def _last_line(log: Path) -> str:
    if not log.exists():
        return "it was never started"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return _message(lines[-1]) if lines else "it said nothing"


def _message(line: str) -> str:
    """The message of a log line in JSON; any other line as it is."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line
