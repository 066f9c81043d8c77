"""Runs a supervisor in this process until a signal ends it."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator

from dstk_localcluster import state_file
from dstk_localcluster.cluster import local_cluster
from dstk_localcluster.directory import ClusterDir
from dstk_localcluster.processes import kill_all
from dstk_localcluster.publisher import Listener
from dstk_localcluster.spec import ClusterSpec

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ALWAYS = signal.SIGTERM
"""`detached.stop` sends it to a supervisor."""


async def run_until_signal(directory: ClusterDir, spec: ClusterSpec, listen: Listener) -> None:
    """Runs the cluster until SIGINT, SIGTERM or SIGHUP, then stops it in order; a second signal kills what is left.

    Raises as `local_cluster`, and `LocalClusterError` when its directory is taken away.
    """
    with cancelled_by_signals(directory):
        async with local_cluster(directory, spec, listen) as cluster:
            await cluster.until_directory_lost()


@contextlib.contextmanager
def cancelled_by_signals(directory: ClusterDir) -> Iterator[None]:
    """Cancels the block at the first SIGINT, SIGTERM or SIGHUP, which then ends without an error.

    A second signal kills the cluster's processes that are still stopping. A signal that the caller's parent ignores stays
    ignored: nohup ignores SIGHUP, and a shell ignores SIGINT for its background jobs.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[int] = []

    def on_signal(number: int) -> None:
        received.append(number)
        if len(received) == 1 and task is not None:
            task.cancel()
        elif running := state_file.load(directory.state):
            kill_all(running.running())

    handled = [number for number in _SIGNALS if number == _ALWAYS or signal.getsignal(number) is not signal.SIG_IGN]
    for number in handled:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received or task is None or task.uncancel():
            raise
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
