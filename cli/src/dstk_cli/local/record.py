"""What a supervisor makes known: run.json, for those who look, and a call, for the one who listens."""

import asyncio
from collections.abc import Callable

from dstk_cli.local import state
from dstk_cli.local.layout import ClusterDir
from dstk_cli.local.state import RunState

_AGAIN_S = 1.0

Listener = Callable[[RunState], None]


class Record:
    """Writes each state down and tells the listener. Neither a full disk nor a listener who has gone stops a supervisor: what
    could not be written is written as soon as it can be.
    """

    def __init__(self, directory: ClusterDir, listen: Listener) -> None:
        self._path = directory.state
        self._listen: Listener | None = listen
        self._again: asyncio.TimerHandle | None = None
        self.trouble = ""
        """Why run.json is not what it should be; empty: it is."""

    @property
    def is_written(self) -> bool:
        """Whether run.json is there and ours, or about to be written."""
        return bool(self.trouble) or state.load(self._path) is not None

    def write(self, now: Callable[[], RunState]) -> None:
        """Writes and tells the state that `now` gives, also when it is tried again later."""
        self._cancel()
        self.trouble, before = "", self.trouble
        try:
            state.save(self._path, now())
        except OSError as error:
            self.trouble = f"{self._path.name} cannot be written: {error.strerror or error}"
            self._again = asyncio.get_running_loop().call_later(_AGAIN_S, self.write, now)
        if not before or before != self.trouble:
            self._tell(now())

    def close(self, last: RunState) -> None:
        """Tells the last state and removes the file: nothing runs any more."""
        self._cancel()
        self._tell(last)
        if last.home.is_there:
            self._path.unlink(missing_ok=True)

    def _cancel(self) -> None:
        if self._again is not None:
            self._again.cancel()

    def _tell(self, now: RunState) -> None:
        try:
            if self._listen is not None:
                self._listen(now)
        except OSError:  # a pipe without a reader, a full disk: there is nobody to tell it to
            self._listen = None
