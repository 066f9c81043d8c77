"""Ways to run a supervisor: in this process until a signal comes, or detached in a session of its own."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict

from dstk_cli.errors import CliError
from dstk_cli.local import environment, last_words, state
from dstk_cli.local.layout import ClusterDir, keep_short
from dstk_cli.local.plan import Request
from dstk_cli.local.processes import ProcessRef, kill_all
from dstk_cli.local.record import Listener
from dstk_cli.local.state import RunState
from dstk_cli.local.supervisor import START_S, STOP_GRACE_S, end_orphans, is_supervised, supervised
from dstk_service import python

_POLL_S = 0.1
_LOG_TAIL = 2000
_STOP_S = 4 * STOP_GRACE_S
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ALWAYS = signal.SIGTERM
"""By it `dstk local down` stops a supervisor."""


async def run_here(directory: ClusterDir, request: Request, listen: Listener) -> None:
    """Runs the cluster until SIGINT, SIGTERM or SIGHUP, then stops it in order; a second signal kills what is left.

    Raises `CliError` when its directory is taken away.
    """
    with cancelled_by_signals(directory):
        async with supervised(directory, request, listen) as supervisor:
            await supervisor.until_homeless()


async def run_detached(directory: ClusterDir, request: Request, listen: Listener) -> RunState:
    """Starts a supervisor that outlives this process; returns its state once everything serves.

    Raises `CliError` with the supervisor's own words when it does not come up.
    """
    directory.create()
    pid, pipe = _spawn(directory, request)
    try:
        async with asyncio.timeout(3 * START_S + _STOP_S):
            await _until_reported(pipe, directory, listen)
    except (asyncio.CancelledError, TimeoutError):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        raise
    running = state.load(directory.state)
    if running is None:
        raise CliError("the cluster came up and went down again", f"its log: {directory.supervisor_log}")
    return running


async def stop(directory: ClusterDir, listen: Listener) -> list[str]:
    """Stops the cluster of a directory, whoever runs it; returns the names of orphans that had to be ended.

    Does nothing when nothing runs. Raises `CliError` when the supervisor does not end in time.
    """
    running = state.load(directory.state)
    if running and is_supervised(directory) and (process := running.supervisor.find()):
        process.terminate()
        await _until_gone(running.supervisor, directory, listen)
    if is_supervised(directory):
        raise CliError("the supervisor is just starting or stopping", "try again in a moment")
    return await asyncio.to_thread(end_orphans, directory)


async def _until_gone(supervisor: ProcessRef, directory: ClusterDir, listen: Listener) -> None:
    """Until its process has ended: it lets go of the directory a moment before."""
    try:
        async with asyncio.timeout(_STOP_S):
            while supervisor.alive:
                _tell(directory, listen)
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        hint = f"what it waits for: {directory.supervisor_log}"
        raise CliError(f"the supervisor did not stop within {_STOP_S:g} s", hint) from None


def _spawn(directory: ClusterDir, request: Request) -> tuple[int, int]:
    """(pid, descriptor of the pipe that it reports on).

    Not through asyncio or subprocess: their process objects kill, or warn about, a child that outlives them.
    """
    argv = (*python.command("dstk_cli.local.daemon"), str(directory.root), json.dumps(asdict(request)))
    keep_short(directory.supervisor_log)
    reading, writing = os.pipe()
    log = os.open(directory.supervisor_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        redirections = (
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writing, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        )
        return os.posix_spawn(argv[0], argv, environment.of_children(), file_actions=redirections), reading
    finally:
        os.close(writing)
        os.close(log)


async def _report(descriptor: int) -> bytes:
    """The one line that a supervisor reports; empty when it ended without."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        return await reader.readline()
    finally:
        transport.close()


async def _until_reported(descriptor: int, directory: ClusterDir, listen: Listener) -> None:
    report = asyncio.create_task(_report(descriptor))
    try:
        while not report.done():
            _tell(directory, listen)
            await asyncio.wait([report], timeout=_POLL_S)
    finally:
        report.cancel()
    if not report.result():
        raise CliError(f"the supervisor ended: {_last_words(directory)}", f"its log: {directory.supervisor_log}")
    answer = json.loads(report.result())
    if answer["error"]:
        raise CliError(answer["error"], answer["hint"])
    _tell(directory, listen)


def _last_words(directory: ClusterDir) -> str:
    try:
        return last_words.of(directory.supervisor_log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:])
    except OSError as error:
        return f"its log cannot be read: {error}"


def _tell(directory: ClusterDir, listen: Listener) -> None:
    running = state.load(directory.state)
    if running is not None:
        listen(running)


@contextlib.contextmanager
def cancelled_by_signals(directory: ClusterDir) -> Iterator[None]:
    """Cancels the block at the first SIGINT, SIGTERM or SIGHUP, and leaves it then without an error.

    A second signal kills the processes that are still being stopped. What whoever started this had ignored, as nohup does with
    SIGHUP and a shell with SIGINT for what it runs in the background, stays ignored.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[int] = []

    def on_signal(number: int) -> None:
        received.append(number)
        if len(received) == 1 and task is not None:
            task.cancel()
        elif running := state.load(directory.state):
            kill_all(running.processes())

    heard = [number for number in _SIGNALS if number == _ALWAYS or signal.getsignal(number) is not signal.SIG_IGN]
    for number in heard:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received or task is None or task.uncancel():
            raise
    finally:
        for number in heard:
            loop.remove_signal_handler(number)
