"""How a supervisor publishes its state: in run.json for other processes, and to a listener in this one."""

import asyncio
from collections.abc import Callable

from dstk_localcluster import state_file
from dstk_localcluster.directory import ClusterDir
from dstk_localcluster.state import ClusterState

_RETRY_S = 1.0

Listener = Callable[[ClusterState], None]
"""Called on the event loop after every change, with the whole state."""


class StatePublisher:
    """Writes each state to run.json and passes it to the listener. Neither a full disk nor a listener that fails with OSError
    stops a supervisor: a failed write is retried every second, and such a listener is not called again.
    """

    def __init__(self, directory: ClusterDir, listen: Listener) -> None:
        self._path = directory.state
        self._listen: Listener | None = listen
        self._retry: asyncio.TimerHandle | None = None
        self.trouble = ""
        """Why run.json is out of date; empty: it is not."""

    @property
    def is_written(self) -> bool:
        """Whether run.json is there and ours, or a retry is due."""
        return bool(self.trouble) or state_file.load(self._path) is not None

    def publish(self, now: Callable[[], ClusterState]) -> None:
        """Publishes the state that `now` returns; a retry calls it again."""
        self._cancel()
        self.trouble, before = "", self.trouble
        try:
            state_file.save(self._path, now())
        except OSError as error:
            self.trouble = f"{self._path.name} cannot be written: {error.strerror or error}"
            self._retry = asyncio.get_running_loop().call_later(_RETRY_S, self.publish, now)
        if not before or before != self.trouble:
            self._notify(now())

    def close(self, last: ClusterState) -> None:
        """Passes the last state to the listener and removes run.json: nothing runs any more."""
        self._cancel()
        self._notify(last)
        if last.directory.is_there:
            self._path.unlink(missing_ok=True)

    def _cancel(self) -> None:
        if self._retry is not None:
            self._retry.cancel()

    def _notify(self, now: ClusterState) -> None:
        try:
            if self._listen is not None:
                self._listen(now)
        except OSError:  # a pipe without a reader, a full disk
            self._listen = None
