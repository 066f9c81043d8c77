"""One comparison of a partition's replicas by its primary, stretch by stretch of keys.

Replicas take writes at different moments, so what differs for a moment means nothing. A stretch is asked of all replicas in
sync at once; where the answers are equal, the replicas are. Where they differ, they are asked a few times more, for a stretch
that is not written to just then. What goes on differing is looked at while the partition is quiesced: no write is admitted,
and every required follower has acknowledged the primary's last write. Each answer comes with the position that it is of
(digests.py). All must be of that one position: then they have the same writes, and what differs is damage. An earlier
position is damage, too: the replica has acknowledged the last write, which was on its disk then, and has lost it. One of a
later position follows another primary by now, and is left out.

A partition is quiesced for milliseconds, and only where a stretch goes on differing; reads go on meanwhile.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.errors import NotPrimary, PreconditionFailed, StorageError
from dstk_storage.domain.replication.digests import digest, stretch
from dstk_storage.domain.replication.ports import Digest, Peers, PeerUnreachable
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.progress import Progress
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.ports import Engine, Offload

log = logging.getLogger(__name__)

TRIES = 3
AGAIN_SECONDS = 0.05

QUIET_SECONDS = 0.5
"""How long a partition stays quiesced, at most, for its replicas to be asked."""

Answers = dict[NodeId, Digest]


@dataclass(frozen=True, slots=True)
class Difference:
    """A stretch that differs, and what each replica holds of it, all at one position."""

    part: KeyRange
    held: Mapping[NodeId, Digest]


class Quiet(Protocol):
    """The partitions that this node leads."""

    def primary_of(self, number: PartitionId) -> Replica:
        """The replica that this node serves as its primary. Raises NotPrimary."""

    def quiet(self, replica: Replica) -> AbstractAsyncContextManager[None]:
        """While it lasts, the partition is quiesced. Raises NotPrimary, PreconditionFailed."""


@dataclass(frozen=True, slots=True)
class Comparing:
    """What a comparison works with. `durable`: waits until what was given to this node's disk is on it."""

    leads: Quiet
    peers: Peers
    engine: Engine
    offload: Offload
    durable: Callable[[], Awaitable[None]]
    clock: Clock


class Comparison:
    """Raises NotPrimary, EngineError. What it finds counts for a replica only as long as `stands` says so."""

    def __init__(self, comparing: Comparing, number: PartitionId) -> None:
        self._with = comparing
        self._number = number
        self._replica: Replica = comparing.leads.primary_of(number)
        assert self._replica.primary is not None
        self._primary: Primary = self._replica.primary
        followers, in_sync = self._primary.followers, self._replica.info.in_sync
        self._asked: dict[NodeId, tuple[Progress, float]] = {
            node: (each, each.since) for node, each in followers.items() if node in in_sync and each.required
        }
        self.missing = {node: None for node in followers if node not in self._asked}
        """Replicas that could not be compared everywhere."""
        self.differences: list[Difference] = []
        self.records = self.bytes = 0
        """Of the primary, that were compared."""
        self._bytes_of_last = 0

    async def run(self, pause: Callable[[int], Awaitable[None]]) -> None:
        """From the first key to the last; `pause` is called after each stretch, with its bytes."""
        rest: KeyRange | None = self._replica.range
        while rest is not None:
            part = await self._with.offload(partial(stretch, self._with.engine, rest))
            await self._compare(part)
            rest = None if part.end == rest.end else KeyRange(part.end or b"", rest.end)
            if rest is not None:
                await pause(self._bytes_of_last)
        self._check()

    def stands(self, node: NodeId) -> bool:
        """Whether what was seen of a replica still counts: it has been in sync all the time, and this node the primary."""
        if self._replica.primary is not self._primary or not self._primary.is_serving:
            return False
        if node == self._replica.me:
            return True
        asked, progress = self._asked.get(node), self._primary.followers.get(node)
        return asked is not None and asked[0] is progress and asked[1] == progress.since and progress.required

    async def _compare(self, part: KeyRange) -> None:
        answers = await self._ask(part)
        for _ in range(TRIES - 1):
            if not _differ(answers):
                break
            await self._with.clock.sleep(AGAIN_SECONDS)
            answers = await self._ask(part)
        if _differ(answers):
            answers = await self._ask_at_rest(part)
        self._note(part, answers)

    def _note(self, part: KeyRange, answers: Answers) -> None:
        mine = answers.get(self._replica.me)
        self._bytes_of_last = 0 if mine is None else mine.bytes
        self.bytes += self._bytes_of_last
        self.records += 0 if mine is None else mine.records
        self.missing |= {node: None for node in self._asked if node not in answers}
        if _differ(answers):
            self.differences.append(Difference(part, answers))

    async def _ask_at_rest(self, part: KeyRange) -> Answers:
        """All at the one position at which the partition is quiesced; those that cannot be asked so are left out."""
        try:
            async with self._with.leads.quiet(self._replica), self._with.clock.timeout(QUIET_SECONDS):
                tail = self._replica.log.tail
                answers = await self._ask(part)
                self._check()
        except (PreconditionFailed, TimeoutError) as error:
            log.info("not compared", extra=LogFields(partition=self._number, error=str(error) or "a replica is slow"))
            return {}
        return {node: found for node, found in answers.items() if found.position <= tail and self.stands(node)}

    async def _ask(self, part: KeyRange) -> Answers:
        self._check()
        me = self._replica.me
        questions = {node: self._ask_one(node, part) for node in self._asked if self.stands(node)}
        mine, *others = await asyncio.gather(self._own(part), *questions.values())
        found = {me: mine, **dict(zip(questions, others, strict=True))}
        return {node: each for node, each in found.items() if each is not None}

    async def _own(self, part: KeyRange) -> Digest | None:
        try:
            await self._with.durable()
        except StorageError:
            return None
        return await self._with.offload(partial(digest, self._with.engine, self._number, part))

    async def _ask_one(self, node: NodeId, part: KeyRange) -> Digest | None:
        try:
            return await self._with.peers.digest(node, self._number, part)
        except PeerUnreachable:
            return None

    def _check(self) -> None:
        """Raises NotPrimary unless this node still holds the office in which it has begun."""
        if not self.stands(self._replica.me):
            raise NotPrimary(self._number)


def _differ(answers: Answers) -> bool:
    """Positions do not count where contents are equal: what lies between was written elsewhere."""
    return len({(found.digest, found.records) for found in answers.values()}) > 1
