"""What runs beside the reactor's loop and ends with it."""

import asyncio
import logging
from collections.abc import Coroutine

log = logging.getLogger(__name__)


class Tasks:
    """An unforeseen exception is logged, and ends its task alone."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], None] = {}

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Runs it until it ends or `cancel` is called."""
        task = asyncio.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._done)

    def cancel(self) -> None:
        """Ends everything that runs."""
        for task in list(self._tasks):
            task.cancel()

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("replication failed in an unforeseen way", exc_info=error)
