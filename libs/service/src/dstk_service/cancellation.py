"""Cancellations that gRPC loses."""

import asyncio


class Cancellation:
    """Whether the current task is asked to end while a call runs, which begins where this is made.

    To be looked at when a call of grpc.aio returns or is cancelled: it swallows a cancellation that comes in the moment of its
    answer, so that Ctrl-C would do nothing, and ends the calls of a channel that is closed as if they had been cancelled. A
    task that was cancelled before cleans up, and its calls are like any others.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._count()

    @property
    def requested(self) -> bool:
        """Whether somebody has asked since."""
        return self._count() > self._before

    def _count(self) -> int:
        return self._task.cancelling() if self._task is not None else 0
