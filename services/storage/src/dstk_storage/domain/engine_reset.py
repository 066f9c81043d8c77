"""A node whose engine has a corrupt block begins anew with an empty one, once nobody needs what it holds.

A block that does not match its checksum is found by a read, a copy or a compaction. LevelDB cannot say which keys it held, and
refuses writes once a compaction meets it, so a single partition cannot be mended in place. But every partition of which
another replica is in sync can be copied here again: the node hands over what it leads, the others let it go from their
in-sync sets, and it starts from nothing. While a partition has no other replica in sync, that one stays quarantined, and
the engine as it is.
"""

import logging
from collections.abc import Awaitable, Callable

from dstk_keytypes import PartitionId
from dstk_service.clock import Clock
from dstk_storage.domain.replication.replicator import Replicator
from dstk_storage.ports import Engine, EngineError

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


class EngineReset:
    """Watches the engine; `replace` puts a new one in its place (proof.py)."""

    def __init__(
        self, engine: Engine, home: Replicator, replace: Callable[[str], Awaitable[None]], clock: Clock
    ) -> None:
        self._engine = engine
        self._home = home
        self._replace = replace
        self._clock = clock
        self._alone: list[PartitionId] = []

    async def run(self) -> None:
        """Looks until cancelled. Before the map is known it seems that nobody needs what this node holds."""
        await self._home.informed_at_all()
        while True:
            if self._engine.corruption:
                await self.heal()
            await self._clock.sleep(LOOK_SECONDS)

    async def heal(self) -> bool:
        """One try; False: others still need what this node holds, or must be told that they do not."""
        replicas = list(self._home.replicas.values())
        alone = [replica.info.id for replica in replicas if replica.info.in_sync == (self._home.around.me,)]
        if alone != self._alone:
            self._alone = alone
            log.error(
                "corrupt data, and no other replica in sync",
                extra={"partitions": alone, "error": self._engine.corruption},
            )
        if alone:
            return False
        log.error("corrupt data: leaving the in-sync sets", extra={"error": self._engine.corruption})
        self._home.retiring = True
        try:
            await self._home.planned.leave()
            if any(self._home.around.me in replica.info.in_sync for replica in self._home.replicas.values()):
                return False
            await self._replace(f"corrupt data: {self._engine.corruption}")
            self._home.begin_anew()
            log.warning("the engine was corrupt and begins anew: its replicas are copied from the others")
        except EngineError as error:
            log.warning("the engine cannot begin anew yet", extra={"error": str(error)})
            return False
        finally:
            self._home.retiring = False
        return True
