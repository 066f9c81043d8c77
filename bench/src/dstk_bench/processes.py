"""Child processes of the benchmark: each runs in its own session, is always terminated, and writes its output to a log.

Through `subprocess`, which starts them by vfork. uvloop's own way is fork, after which gRPC's handlers, run in the child,
crash it now and then before it becomes another program.
"""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from dstk_keytypes.errors import Portable
from dstk_localcluster.environment import child_environment

_GRACE_SECONDS = 10.0
_PROBE_INTERVAL_SECONDS = 0.05
_LOG_TAIL_BYTES = 2000


class ProcessFailedError(Portable):
    """A child that exited, or was not ready in time. The message contains the end of its log."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        tail = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip() if log.exists() else ""
        super().__init__(f"{name} {what}; its log ends with:\n{tail or '(nothing)'}")


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def child(argv: Sequence[str], log: Path) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """Runs a program in the background, its output in `log`. It gets SIGTERM at the end, SIGKILL after 10 seconds.

    In a session of its own, so that Ctrl-C reaches the benchmark alone, which then ends its children in order.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - see above
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=child_environment(),
        )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, _GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)


async def until_ready(
    name: str,
    process: "subprocess.Popen[bytes]",
    log: Path,
    probe: Callable[[], Awaitable[object]],
    within: float = 30.0,
) -> None:
    """Waits until the probe raises nothing. Raises ProcessFailedError if the process exits, or after `within` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            while process.poll() is None:
                if await _answers(probe):
                    return
                await asyncio.sleep(_PROBE_INTERVAL_SECONDS)
            raise ProcessFailedError(name, f"ended with code {process.returncode}", log)
    raise ProcessFailedError(name, f"was not ready within {within:g} s", log)


async def _answers(probe: Callable[[], Awaitable[object]]) -> bool:
    try:
        await probe()
    except Exception:  # noqa: BLE001 - whatever a client raises while its server starts
        return False
    return True
