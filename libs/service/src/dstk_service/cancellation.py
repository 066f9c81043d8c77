"""Detects cancellations that gRPC swallows."""

import asyncio


class Cancellation:
    """Tells whether the current task was cancelled during a call. Make it before the call.

    Ask `requested` when a call of grpc.aio returns or is cancelled. gRPC swallows a cancellation that arrives together with the
    answer, so Ctrl-C would have no effect; and it ends the calls of a closed channel as if they were cancelled. A task that was
    cancelled earlier is cleaning up, and its calls count like any others.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._count()

    @property
    def requested(self) -> bool:
        """Whether the task was cancelled since this object was made."""
        return self._count() > self._before

    def _count(self) -> int:
        return self._task.cancelling() if self._task is not None else 0
