"""The thread of the history: SQLite blocks, and a connection belongs to the thread that opened it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from typing_extensions import override

from dstk_metrics.ports import Offload

T = TypeVar("T")


class HistoryThread(Offload):
    """One thread, for as long as it is not closed. A call runs to its end even when its caller is cancelled."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "history")

    @override
    async def __call__(self, call: Callable[[], T], /) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def close(self) -> None:
        """Ends the thread, after the calls that were made."""
        await asyncio.to_thread(self._executor.shutdown)
