"""Keeps a node with a full or failing disk alive: it accepts less, down to nothing, and recovers by itself."""

import logging
from collections.abc import Awaitable, Callable

from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.domain.room import Room, explained, judge, needed
from dstk_storage.ports import Disk, EngineError

log = logging.getLogger(__name__)

NEARLY_FULL = 2
"""Times the reserve. Below it the disk is polled ten times as often: a second of writes may fill a third of the reserve."""


class DiskGuard:
    """Limits what the committer accepts while the disk is full, and reopens the engine after failed writes."""

    def __init__(
        self,
        disk: Disk,
        committer: GroupCommitter,
        reopen: Callable[[], Awaitable[None]],
        clock: Clock,
        *,
        reserve_bytes: int,
    ) -> None:
        self._disk = disk
        self._intake = committer.intake
        self._reopen = reopen
        self._clock = clock
        self.reserve = reserve_bytes
        self.free = 0
        """Bytes that were free at the last check."""

    @property
    def room(self) -> Room:
        """What the disk had room for at the last check."""
        return self._intake.room

    @property
    def read_only(self) -> bool:
        """Whether callers' data is refused because the disk is full."""
        return self.room > Room.AMPLE

    async def run(self, *, every: float = 1.0) -> None:
        """Checks the disk until cancelled."""
        while True:
            await self.check()
            await self._clock.sleep(every / 10 if self.free < NEARLY_FULL * self.reserve else every)

    async def check(self) -> None:
        """Checks the disk once: sets what the committer accepts, and reopens a failed engine."""
        self.free = self._disk.free_bytes()
        room = judge(self.free, self.reserve, self.room)
        if room != self.room:
            self._log(room)
        if room or self.room:  # the refusal says how much is left
            reason = ReadOnly(explained(room, self.free, self.reserve))
            self._intake.limit(room, reason, self.free - needed(self.reserve))
        if self._intake.failure and room < Room.EXHAUSTED:
            await self._recover()

    def _log(self, room: Room) -> None:
        extra = LogFields(
            action="disk_full" if room else "disk_has_room",
            room=room.name.lower(),
            free_bytes=self.free,
            reserve_bytes=self.reserve,
        )
        if room is Room.AMPLE:
            log.warning("disk has room again: writes resume", extra=extra)
        elif room is Room.EXHAUSTED:
            log.error("disk full: the node accepts nothing", extra=extra)
        else:
            log.error("disk full: the node accepts deletions only", extra=extra)

    async def _recover(self) -> None:
        try:
            await self._reopen()
        except EngineError as error:
            log.warning("the engine cannot be reopened yet", extra=LogFields(error=str(error)))
            return
        self._intake.recovered()
        log.warning("the engine has been reopened: writes resume", extra=LogFields(action="engine_reopened"))
