"""Where things may be used: objects of asyncio in the event loop of their making, gRPC in the process that began with it."""

import asyncio
import os

from dstk_service.errors import DstkError


class WrongContext(DstkError):
    """Used outside of the event loop or the process that it belongs to. Nothing was done, and it goes on working there."""

    reason = "WRONG_CONTEXT"


_forks = 0
"""How often the processes between the first one and this one have forked."""


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 - it describes the process
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


class Context:
    """The event loop that runs where this is made, and its process."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._process = Process()

    def check(self, what: str) -> None:
        """Raises WrongContext anywhere else; `what` names the thing that belongs here. Takes 0.1 µs."""
        self._process.check(what)
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:  # asyncio does not run at all
            here = None
        if here is not self.loop:
            raise WrongContext(f"{what} belongs to another event loop: make one in the loop that uses it")


class Process:
    """The process that this is made in."""

    def __init__(self) -> None:
        self._forks = _forks
        self._id = os.getpid()

    @property
    def is_here(self) -> bool:
        """False in a process that was forked off since."""
        return self._forks == _forks

    def check(self, what: str) -> None:
        """Raises WrongContext in a process that was forked off since."""
        if self._forks != _forks:
            why = f"{what} belongs to process {self._id}, of which process {os.getpid()} is a forked child"
            raise WrongContext(f"{why}: connect in a process that was started with 'spawn' or 'forkserver'")
