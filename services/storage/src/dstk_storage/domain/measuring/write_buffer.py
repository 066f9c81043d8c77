"""What the engine has in its write buffer, which no size counts."""

import asyncio

from dstk_service.clock import Clock
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.ports import Engine, Offload

SMALL = 2_000
"""Records that may be missing in sizes: a part of a hundred of what is measured by samples, or less."""

SPACING_SECONDS = 2.0
"""Between two flushes: each makes a table, and LevelDB has more to compact."""


class WriteBuffer:
    """Flushes the engine's write buffer before sizes are used. `offload`: a flush takes as long as a table is written."""

    def __init__(self, engine: Engine, committer: GroupCommitter, offload: Offload, clock: Clock) -> None:
        self._engine, self._committer, self._offload, self._clock = engine, committer, offload, clock
        self._turn = asyncio.Lock()
        self._flushed = -SMALL - 1
        """How many records were written when it was flushed last; at first, what an earlier process wrote may be in it."""
        self._at = -SPACING_SECONDS

    async def make_small(self) -> int:
        """Flushes it if it may have more than SMALL records and was not flushed just now. Returns how many it may have.
        Raises EngineError.
        """
        async with self._turn:
            now = self._clock.monotonic()
            if self._records > SMALL and now - self._at >= SPACING_SECONDS:
                written = self._committer.written
                await self._offload(self._engine.flush)
                self._flushed, self._at = written, now
            return self._records

    @property
    def _records(self) -> int:
        return self._committer.written - self._flushed
