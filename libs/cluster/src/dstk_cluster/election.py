"""The election of the controller: a key under a lease names the leader.

/dstk/<cluster>/controller   {"version", "node", "lease"}; under the lease of the node
"""

import logging
import random
from typing import Final

from dstk_cluster import records
from dstk_cluster.port import Coordinator, CoordinatorUnavailable, Entry, Put, RevisionIs
from dstk_cluster.records import Keys
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 2
"""The shortest lease that etcd grants with its default election timeout."""

SAFE_SHARE: Final = 0.85
"""The part of the lease that the leader relies on. So clocks may differ in speed by a seventh."""

INTERVAL_SECONDS: Final = 0.5
"""Between two steps. A new leader acts at most 2.5 s after the last sign of life of the old one."""


class Election:
    """A node's part in the election.

    Invariant: at most one node is `acting` at any moment. A lease lasts LEASE_SECONDS from the moment at which etcd receives
    the call; the leader counts from before it sends the call, so it stops first.
    """

    def __init__(self, coordinator: Coordinator, cluster: str, node: NodeId, clock: Clock, rng: random.Random) -> None:
        self._coordinator, self._node, self._clock, self._rng = coordinator, node, clock, rng
        self._key = Keys(cluster).root + b"controller"
        self._lease = 0
        self._until = 0.0
        self._leader: NodeId | None = None

    @property
    def acting(self) -> bool:
        """Whether this node is certain to be the leader at this moment."""
        return bool(self._lease) and self._clock.monotonic() < self._until

    @property
    def leader(self) -> NodeId | None:
        """The leader, as far as this node knows; None if there is none."""
        return self._leader

    async def run(self) -> None:
        """Stands for election, and renews the lease while elected, until cancelled."""
        while True:
            await self.step()
            await self._clock.sleep(INTERVAL_SECONDS * self._rng.uniform(0.8, 1.0))

    async def step(self) -> None:
        """Renews the lease, or stands for election if there is no leader."""
        was = self._leader
        try:
            await (self._renew() if self._lease else self._stand())
        except CoordinatorUnavailable as error:
            log.debug("the election waits for etcd", extra=LogFields(error=str(error)))
        if self._leader != was:
            extra = LogFields(action="controller_elected", node=self._leader or "")
            log.info("the controller is %s now", self._leader or "no node", extra=extra)

    async def resign(self) -> None:
        """Ends the lease, so that another node can lead at once. If etcd does not answer, the lease ends by itself."""
        lease, self._lease, self._until = self._lease, 0, 0.0
        try:
            if lease:
                await self._coordinator.revoke(lease)
        except CoordinatorUnavailable as error:
            log.warning(
                "resigned, but etcd does not answer: the lease ends by itself", extra=LogFields(error=str(error))
            )

    async def _renew(self) -> None:
        """Renews the lease. Its key may be gone anyway, because an operator deleted it."""
        sent = self._clock.monotonic()
        if await self._coordinator.keep_alive(self._lease):
            self._learn(await self._coordinator.get(self._key), sent)
        else:
            self._lease, self._until = 0, 0.0
            await self._stand()

    async def _stand(self) -> None:
        """Becomes the leader if there is none. Only then it asks for a lease."""
        entry = await self._coordinator.get(self._key)
        if entry is not None:
            self._learn(entry, 0.0)
            return
        sent = self._clock.monotonic()
        lease = await self._coordinator.grant_lease(LEASE_SECONDS)
        self._lease, self._until = lease, 0.0
        put = Put(self._key, records.dump(node=self._node, lease=lease), lease)
        won = await self._coordinator.txn([RevisionIs(self._key, 0)], [put])
        if won.succeeded:
            self._leader, self._until = self._node, sent + LEASE_SECONDS * SAFE_SHARE
        else:
            await self.resign()

    def _learn(self, entry: Entry | None, sent: float) -> None:
        known = None if entry is None else records.load(entry.value)
        self._leader = None if known is None else NodeId(known["node"])
        if known is None or known["lease"] != self._lease:
            self._lease, self._until = 0, 0.0  # the lease ends by itself
        else:
            self._until = sent + LEASE_SECONDS * SAFE_SHARE
