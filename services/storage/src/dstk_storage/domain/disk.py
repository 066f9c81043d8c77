"""A full or failing disk makes the node read-only, not dead; it recovers by itself."""

import logging
from collections.abc import Awaitable, Callable

from dstk_service.clock import Clock
from dstk_storage.domain.commit import Committer
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.ports import Disk, EngineError

log = logging.getLogger(__name__)


class DiskGuard:
    """Makes the node read-only when its disk runs full, and recovers it from failed writes when there is room again."""

    def __init__(
        self,
        disk: Disk,
        committer: Committer,
        reopen: Callable[[], Awaitable[None]],
        clock: Clock,
        *,
        reserve_bytes: int,
    ) -> None:
        self._disk = disk
        self._committer = committer
        self._reopen = reopen
        self._clock = clock
        self._reserve = reserve_bytes
        self.read_only = False

    async def run(self, *, every: float = 1.0) -> None:
        """Looks at the disk until cancelled."""
        while True:
            await self.check()
            await self._clock.sleep(every)

    async def check(self) -> None:
        """One look: refuses writes below the reserve, lets them in again a quarter above it, reopens a failed engine."""
        free = self._disk.free_bytes()
        needed = self._reserve * 5 // 4 if self.read_only else self._reserve
        full = free < needed
        if full != self.read_only:
            self._switch(free, full=full)
        if self._committer.failed and not full:
            await self._recover()

    def _switch(self, free: int, *, full: bool) -> None:
        self.read_only = full
        if full:
            log.error("disk full: the node is read-only", extra={"free_bytes": free, "reserve_bytes": self._reserve})
            reason = f"the disk has {free} bytes left and the node keeps {self._reserve} in reserve: free some space"
            self._committer.refuse_writes(ReadOnly(reason))
        else:
            log.warning("disk has room again: writes resume", extra={"free_bytes": free})
            self._committer.refuse_writes(None)

    async def _recover(self) -> None:
        try:
            await self._reopen()
        except EngineError as error:
            log.warning("the engine cannot be reopened yet", extra={"error": str(error)})
            return
        self._committer.recovered()
        log.warning("the engine has been reopened: writes resume")
