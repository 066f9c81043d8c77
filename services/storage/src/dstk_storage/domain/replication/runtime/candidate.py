"""Runs elections, for all replicas of a node."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_service.trace import SPAN_ID_BYTES, TRACE_ID_BYTES, Span, TraceContext, derived_id, within
from dstk_storage.domain.replication.actions import Outbox
from dstk_storage.domain.replication.election import Ballot, Elections
from dstk_storage.domain.replication.ports import Peers, PeerUnreachable, Vote
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.runtime.map_changes import MapChanges

log = logging.getLogger(__name__)

VOTE_SECONDS = 0.3
"""How long a candidate waits for the others; a node that has not answered by then is left out."""

Drain = Callable[[], Awaitable[None]]
"""Waits until what the replicas have accepted is on disk, or lost."""


class Candidate:
    """One election at a time for each replica."""

    def __init__(
        self,
        elections: Elections,
        changes: MapChanges,
        peers: Peers,
        clock: Clock,
        drain: Drain,
        outbox: Outbox,
        flush: Callable[[], None],
    ) -> None:
        self._elections, self._changes, self._peers, self._clock = elections, changes, peers, clock
        self._drain, self._outbox, self._flush = drain, outbox, flush

    async def run(self, replica: Replica) -> None:
        """One try. `is_electing` is set when it is asked for, so that nothing takes the partition for unclaimed meanwhile."""
        try:
            if (grant := replica.valid_grant()) is not None:
                self._elections.succeed(replica, grant, self._clock.monotonic())
            else:
                await self._try(replica)
        finally:
            replica.is_electing = False
            self._outbox.change(replica)
            self._flush()

    async def _try(self, replica: Replica) -> None:
        span = self._span(replica)
        ballot = self._elections.begin(replica, self._clock.monotonic(), span)
        if ballot is not None:
            with within(span.context):
                await self._elect(replica, ballot)

    def _span(self, replica: Replica) -> Span:
        """The span of an election, which begins a trace. Its ids follow from what is elected, where and when."""
        now = self._clock.monotonic()
        what = replica.me, replica.info.id, replica.info.epoch, now
        context = TraceContext(derived_id(TRACE_ID_BYTES, *what), derived_id(SPAN_ID_BYTES, *what), sampled=True)
        return Span(context, None, now)

    async def _elect(self, replica: Replica, ballot: Ballot) -> None:
        self._flush()
        await self._drain()
        answers = await asyncio.gather(*(self._ask(node, ballot) for node in ballot.voters))
        votes = {node: vote for node, vote in zip(ballot.voters, answers, strict=True) if vote is not None}
        new = self._elections.count(replica, ballot, votes, self._clock.monotonic())
        if new is None:
            return
        try:
            won = await self._changes.replace(ballot.info, new)
        except CoordinatorUnavailable as error:
            log.warning("an election waits for etcd", extra=LogFields(partition=new.id, error=str(error)))
            won = False
        if won:
            self._elections.win(replica, ballot, new, self._clock.monotonic())
        else:
            self._elections.lose(ballot)

    async def _ask(self, node: NodeId, ballot: Ballot) -> Vote | None:
        try:
            async with self._clock.timeout(VOTE_SECONDS):
                return await self._peers.request_vote(node, ballot.info.id, ballot.epoch, ballot.info.epoch)
        except (PeerUnreachable, TimeoutError):
            return None
