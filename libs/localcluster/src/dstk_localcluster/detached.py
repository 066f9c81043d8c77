"""Runs a supervisor detached, in a session of its own, and stops the supervisor of a directory, whoever started it."""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass

from dstk_localcluster import exit_reason, state_file
from dstk_localcluster.cluster import START_S
from dstk_localcluster.directory import ClusterDir
from dstk_localcluster.environment import child_environment
from dstk_localcluster.errors import InvalidSpec, LocalClusterError
from dstk_localcluster.ownership import STOP_GRACE_S, end_orphans, is_supervised
from dstk_localcluster.processes import ProcessRef
from dstk_localcluster.publisher import Listener
from dstk_localcluster.running import opened_log
from dstk_localcluster.spec import ClusterSpec
from dstk_localcluster.state import ClusterState
from dstk_service import python

_POLL_S = 0.1
_LOG_TAIL = 2000
_STOP_S = 5 * STOP_GRACE_S


@dataclass(frozen=True, slots=True)
class Report:
    """What a detached supervisor reports once, as one line of JSON: everything serves, or why it does not.

    `error`: empty: everything serves. `field`: the field of the spec that cannot be met; empty: it is none.
    """

    error: str = ""
    hint: str = ""
    field: str = ""

    @staticmethod
    def of(error: LocalClusterError) -> "Report":
        """Returns the report of a failed start."""
        if isinstance(error, InvalidSpec):
            return Report(error.problem, error.hint, error.field)
        return Report(error.message, error.hint)

    def check(self) -> None:
        """Raises the error that was reported."""
        if self.field:
            raise InvalidSpec(self.field, self.error, self.hint)
        if self.error:
            raise LocalClusterError(self.error, self.hint)


async def run_detached(directory: ClusterDir, spec: ClusterSpec, listen: Listener) -> ClusterState:
    """Starts a supervisor that outlives this process; returns its state once everything serves. `listen` is called with the
    state about ten times a second until then.

    Raises `LocalClusterError` with the supervisor's own words when the cluster does not come up.
    """
    directory.create()
    pid, pipe = _spawn(directory, spec)
    try:
        async with asyncio.timeout(4 * START_S + _STOP_S):
            await _until_reported(pipe, directory, listen)
    except (asyncio.CancelledError, TimeoutError):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        raise
    running = state_file.load(directory.state)
    if running is None:
        raise LocalClusterError("the cluster came up and went down again", f"its log: {directory.supervisor_log}")
    return running


async def stop(directory: ClusterDir, listen: Listener) -> list[str]:
    """Stops the cluster of a directory, whoever runs it; returns the names of orphans that it had to end.

    Does nothing when nothing runs. Raises `LocalClusterError` when the supervisor does not end within 50 s.
    """
    running = state_file.load(directory.state)
    if running and is_supervised(directory) and (process := running.supervisor.find()):
        process.terminate()
        await _until_gone(running.supervisor, directory, listen)
    if is_supervised(directory):
        raise LocalClusterError("the supervisor is just starting or stopping", "try again in a moment")
    return await asyncio.to_thread(end_orphans, directory)


async def _until_gone(supervisor: ProcessRef, directory: ClusterDir, listen: Listener) -> None:
    """Waits for the end of the process, which comes a moment after it releases the directory."""
    try:
        async with asyncio.timeout(_STOP_S):
            while supervisor.alive:
                _notify(directory, listen)
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        hint = f"its log says what it waits for: {directory.supervisor_log}"
        raise LocalClusterError(f"the supervisor did not stop within {_STOP_S:g} s", hint) from None


def _spawn(directory: ClusterDir, spec: ClusterSpec) -> tuple[int, int]:
    """Returns the process id and the descriptor of the pipe that carries its report.

    Not through asyncio or subprocess: their process objects kill, or warn about, a child that outlives them.
    """
    from pydantic_core import to_json  # noqa: PLC0415 - it takes 0.1 s, which only this command needs

    argv = (*python.command("dstk_localcluster.daemon"), str(directory.root), to_json(spec).decode())
    reading, writing = os.pipe()
    try:
        with opened_log(directory.supervisor_log) as log:
            redirections = (
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, writing, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            )
            return os.posix_spawn(argv[0], argv, child_environment(), file_actions=redirections), reading
    finally:
        os.close(writing)


async def _until_reported(descriptor: int, directory: ClusterDir, listen: Listener) -> None:
    report = asyncio.create_task(_read_line(descriptor))
    try:
        while not report.done():
            _notify(directory, listen)
            await asyncio.wait([report], timeout=_POLL_S)
    finally:
        report.cancel()
    if not (line := report.result()):
        reason = _exit_reason(directory)
        raise LocalClusterError(f"the supervisor ended: {reason}", f"its log: {directory.supervisor_log}")
    _decode(line).check()
    _notify(directory, listen)


async def _read_line(descriptor: int) -> bytes:
    """Returns the one line that a supervisor reports; empty when it ended without a report."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        return await reader.readline()
    finally:
        transport.close()


def _decode(line: bytes) -> Report:
    from pydantic import TypeAdapter  # noqa: PLC0415 - see above

    return TypeAdapter(Report).validate_json(line, strict=True)


def _exit_reason(directory: ClusterDir) -> str:
    try:
        text = directory.supervisor_log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"its log cannot be read: {error}"
    return exit_reason.of(text[-_LOG_TAIL:])


def _notify(directory: ClusterDir, listen: Listener) -> None:
    running = state_file.load(directory.state)
    if running is not None:
        listen(running)
