"""Where things may be used: objects of asyncio in the event loop of their making, gRPC in the process that began with it."""

import asyncio
import os
from weakref import WeakSet

from dstk_service.errors import DstkError


class WrongContext(DstkError):
    """Used outside of the event loop or the process that it belongs to. Nothing was done, and it goes on working there."""

    reason = "WRONG_CONTEXT"


class Process:
    """The process that this is made in."""

    def __init__(self) -> None:
        self._id = os.getpid()

    @property
    def is_here(self) -> bool:
        """False in a process that was forked off since."""
        return self._id == os.getpid()

    def check(self, what: str) -> None:
        """Raises WrongContext in a process that was forked off since."""
        if not self.is_here:
            why = f"{what} belongs to process {self._id}, of which process {os.getpid()} is a forked child"
            raise WrongContext(f"{why}: connect in a process that was started with 'spawn' or 'forkserver'")


_contexts: "WeakSet[Context]" = WeakSet()


class Context:
    """The event loop that runs where this is made, and its process. `loop` is that loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._here: asyncio.AbstractEventLoop | None = self.loop
        """None in a forked child: to ask for the process at each check would cost as much as all the rest."""
        self._process = Process()
        _contexts.add(self)

    def check(self, what: str) -> None:
        """Raises WrongContext anywhere else; `what` names the thing that belongs here. Takes 0.06 µs."""
        try:
            if asyncio.get_running_loop() is self._here:
                return
        except RuntimeError:
            pass  # asyncio does not run at all
        self._process.check(what)
        raise WrongContext(f"{what} belongs to another event loop: make one in the loop that uses it")

    def leave(self) -> None:
        """What becomes of it in a forked child."""
        self._here = None


def _leave_all() -> None:
    for context in list(_contexts):
        context.leave()


os.register_at_fork(after_in_child=_leave_all)
