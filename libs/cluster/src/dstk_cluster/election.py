"""Electing the one node that acts for the cluster: a key under a lease.

/dstk/<cluster>/controller   {"version", "node", "lease"}; under the lease of the node
"""

import logging
import random
from typing import Final

from dstk_cluster import records
from dstk_cluster.port import Compare, Coordinator, CoordinatorUnavailable, Entry, Put
from dstk_cluster.records import Keys
from dstk_keytypes import NodeId
from dstk_service.clock import Clock

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 2
"""The least that etcd grants with its usual election timeout."""

SAFE_SHARE: Final = 0.85
"""Of the lease, for which its holder relies on it: clocks need only run equally fast, to a seventh."""

EVERY_SECONDS: Final = 0.5
"""Between looks. A leader's death is known 2 s after its last sign of life, and acted on half a second later."""


class Election:
    """Stands for election until cancelled.

    Invariant: of all nodes at most one is `acting` at any moment. A lease lasts LEASE_SECONDS from the moment at which etcd
    hears of it, which is after the call was sent; the leader counts from before sending, and so stops first.
    """

    def __init__(self, coordinator: Coordinator, cluster: str, node: NodeId, clock: Clock, rng: random.Random) -> None:
        self._coordinator, self._node, self._clock, self._rng = coordinator, node, clock, rng
        self._key = Keys(cluster).root + b"controller"
        self._lease = 0
        self._until = 0.0
        self._leader: NodeId | None = None

    @property
    def acting(self) -> bool:
        """Whether this node is the leader for certain, at this moment."""
        return bool(self._lease) and self._clock.monotonic() < self._until

    @property
    def leader(self) -> NodeId | None:
        """Who leads, as far as is known; None: nobody."""
        return self._leader

    async def run(self) -> None:
        """Stands for election, and stays elected, until cancelled."""
        while True:
            await self.step()
            await self._clock.sleep(EVERY_SECONDS * self._rng.uniform(0.8, 1.0))

    async def step(self) -> None:
        """One look, and what follows from it."""
        was = self._leader
        try:
            await (self._stay() if self._lease else self._stand())
        except CoordinatorUnavailable as error:
            log.debug("the election waits for etcd", extra={"reason": str(error)})
        if self._leader != was:
            log.info("the controller is %s now", self._leader or "nobody", extra={"controller": self._leader})

    async def resign(self) -> None:
        """Lets another begin at once. If etcd does not answer, the lease's end does that."""
        lease, self._lease, self._until = self._lease, 0, 0.0
        try:
            if lease:
                await self._coordinator.revoke(lease)
        except CoordinatorUnavailable as error:
            log.warning("resigned without telling etcd: the lease will end", extra={"reason": str(error)})

    async def _stay(self) -> None:
        """Keeps the lease. Its key can be gone all the same, by somebody's hand."""
        sent = self._clock.monotonic()
        if await self._coordinator.keep_alive(self._lease):
            self._take_note(await self._coordinator.get(self._key), sent)
        else:
            self._lease, self._until = 0, 0.0
            await self._stand()

    async def _stand(self) -> None:
        """Takes the office if it is free. A lease is asked for only then."""
        entry = await self._coordinator.get(self._key)
        if entry is not None:
            self._take_note(entry, 0.0)
            return
        sent = self._clock.monotonic()
        lease = await self._coordinator.grant_lease(LEASE_SECONDS)
        self._lease, self._until = lease, 0.0
        put = Put(self._key, records.dump(node=self._node, lease=lease), lease)
        won = await self._coordinator.txn([Compare(self._key, 0)], [put])
        if won.succeeded:
            self._leader, self._until = self._node, sent + LEASE_SECONDS * SAFE_SHARE
        else:
            await self.resign()

    def _take_note(self, entry: Entry | None, sent: float) -> None:
        known = None if entry is None else records.load(entry.value)
        self._leader = None if known is None else NodeId(known["node"])
        if known is None or known["lease"] != self._lease:
            self._lease, self._until = 0, 0.0  # whatever is left of it ends by itself
        else:
            self._until = sent + LEASE_SECONDS * SAFE_SHARE
