"""One call of a caller without an event loop."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Call(Generic[T]):
    """A coroutine that another thread's loop makes and runs, and the future of its outcome. All methods run on that loop.

    Ctrl-C may interrupt the caller at any moment, even between two instructions of handing the call over. The caller then
    cancels the future and hands over `end`, which is right whether or not `begin` was handed over before. The coroutine is
    made on the loop, because Python warns about a coroutine that is never started.
    """

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.future: Future[T] = Future()
        self._make = make
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """Starts the coroutine, unless its caller has stopped waiting."""
        if self.future.cancelled():
            return
        try:
            self._task = asyncio.get_running_loop().create_task(self._make())
        except Exception as error:  # noqa: BLE001 - its caller waits for it
            self.future.set_exception(error)
        else:
            self._task.add_done_callback(self._settle)

    def end(self) -> None:
        """Cancels the coroutine: its caller has stopped waiting."""
        if self._task is not None:
            self._task.cancel()

    def _settle(self, task: asyncio.Task[T]) -> None:
        self._task = None
        if task.cancelled():
            self.future.cancel()
            return
        error = task.exception()  # read in any case: asyncio warns about an exception that was never retrieved
        if self.future.set_running_or_notify_cancel():
            if error is None:
                self.future.set_result(task.result())
            else:
                self.future.set_exception(error)
