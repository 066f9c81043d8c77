"""The mistakes that mutations.py makes: each in place of a function of the product, with its arguments."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from dstk_cluster import records
from dstk_cluster.mapstore import MapStore
from dstk_cluster.model import Merged
from dstk_cluster.port import Put
from dstk_storage.domain import (
    converge,
    proof,
    range_export,
    receipt,
    write_queue,
)
from dstk_storage.domain.batch import PROPOSED, REPLICATED
from dstk_storage.domain.history import History, Term
from dstk_storage.domain.replication import (
    follower_handler,
    follower_watch,
    lease_book,
    primary,
    primary_handler,
    promises,
    replica,
)
from dstk_storage.domain.replication.progress import FollowerState
from dstk_storage.domain.replication.roster import Roster
from dstk_storage.domain.replication.runtime import (
    comparison,
    map_changes,
    peer_api,
    performer,
    quiescing,
    snapshot_receiver,
)
from dstk_storage.domain.replication.timing import Timing


def replicates_at_once(self: primary.Primary) -> list[Any]:
    found = [batch for batch, _ in self.in_flight]
    self.in_flight.clear()
    return found


def accepts_gaps(self: replica.Replica, epoch: int, entries: Any) -> list[Any]:
    if epoch < self.promised or self.primary is not None or self.needs_snapshot:
        raise replica.Refused
    self.promise(epoch)
    fresh = [entry for entry in entries if entry.first > self.log.tail.seq]
    for entry in fresh:
        self.log.truncate(entry.previous)
        self.log.append(entry)
        self.log.hand(entry.position)
    return fresh


async def does_not_wait(self: peer_api.PeerApi, batches: Any) -> None:
    return None


def answers_early(self: peer_api.PeerApi, append: Any, batches: Any) -> Any:
    found = self._replicas.get(append.partition)
    if batches is None or found is None:
        return ANSWER(self, append, batches)
    return peer_api.Appended(append.partition, True, found.log.tail, found.promised, found.needs_snapshot)


def hears_everybody(self: follower_handler.FollowerHandler, partition: Any, epoch: int) -> int | None:
    return None


async def changes_without_comparing(self: MapStore, old: Any, new: Any) -> bool:
    put = Put(self.keys.partition(old.id), records.dump_partition(new))
    return (await self.coordinator.txn([], [put])).succeeded


async def evicts_without_etcd(self: map_changes.MapChanges, found: replica.Replica, nodes: Any) -> None:
    if found.primary is not None:
        for node in nodes:
            found.primary.followers[node].required = False
        self._updater._outbox.change(found)  # noqa: SLF001
        self._updater._primaries.advance(found)  # noqa: SLF001
        self._flush()


def everything_is_close(self: follower_watch.FollowerWatch, found: replica.Replica, *_: Any) -> bool:
    return found.primary is not None and found.primary.is_serving


def has_everything(
    self: follower_watch.FollowerWatch, found: replica.Replica, node: Any, progress: Any, now: float
) -> None:
    required = progress.required
    CONSIDER(self, found, node, progress, now)
    if progress.required and not required:
        progress.state, progress.acked = FollowerState.JOINING, found.log.tail
        progress.cursor.seek(found.log.tail)


def keeps_what_it_accepted(self: replica.Replica) -> None:
    self.primary = None


async def does_not_quiesce(self: quiescing.Quiescing, found: replica.Replica, leading: Any) -> None:
    return None


def merges_as_it_stands(new: converge.Assignment, before: Any) -> Any:
    if not isinstance(new.origin, Merged):
        return None
    return History((Term(new.origin.epoch, 1),), new.origin.upper_at.seq + 9)


def takes_any_epoch(self: replica.Replica, epoch: int, entries: Any) -> list[Any]:
    promised, self.promised = self.promised, 0
    try:
        return ACCEPT(self, epoch, entries)
    finally:
        self.promised = max(promised, epoch)


def answers_any_epoch(self: peer_api.PeerApi, append: Any, batches: Any) -> Any:
    return replace(ANSWER(self, append, batches), promised=append.epoch)


def serves_at_once(self: primary_handler.PrimaryHandler, found: replica.Replica) -> None:
    leading = found.primary
    if leading is not None and not leading.is_serving:
        with patch.object(primary.Primary, "is_quiet", lambda _self, _tail: True):
            ADVANCE(self, found)
    else:
        ADVANCE(self, found)


def exports_pages_alone(self: range_export.RangeExport, reached: History) -> Iterator[Any]:
    self.history = reached
    return iter(())


def begins_with_a_grant(self: Roster, info: Any, partition: Any) -> None:
    ADD(self, info, partition)
    if info.primary == self._me:
        self._replicas[info.id].grant = replica.Grant(info.epoch, info.epoch)


async def does_not_empty(self: snapshot_receiver.SnapshotReceiver, found: replica.Replica, attempt: int) -> None:
    found.partition.snapshot_attempt = attempt
    await self._stand(found, History(), needs_snapshot=True)


def counts_as_whole(new: Any, before: Any, *, founding: bool) -> Any:
    partition = NEWCOMER(new, before, founding=founding)
    partition.needs_snapshot = False
    return partition


async def raises_no_mark(self: proof.EngineProof, known: Any) -> bool:
    if not self.identity.mark:
        return await ADVANCE_MARK(self, known)
    self._claimed = True
    return True


def forgets_refusals(self: lease_book.LeaseBook, node: Any, pair: Any, partition: Any) -> None:
    return None


def drops_step_down(self: performer.Performer, action: Any) -> None:
    if isinstance(action, performer.StepDown):
        action.replica.partition.abandon(performer.CommitFailed("dropped"))
        return
    PERFORM(self, action)


def publishes_late(self: performer.Performer) -> None:
    return None


def is_known_from_anywhere(self: Any, position: Any, *, accepted: bool) -> None:
    STAND(self, max(position, self.cursor.position), accepted=accepted)


def hears_what_it_cannot_know(self: promises.Promises, heartbeat: Any) -> Any:
    session = self._sessions.get(heartbeat.sender)
    return session if session is not None else SESSION(self, replace(heartbeat, base=0))


def is_bound_briefly(self: promises.Promises, timing: Timing, started: float) -> None:
    PROMISES(self, replace(timing, grace=0.15, start=0.15), started)


async def waits_for_followers_alone(self: receipt.Receipt) -> None:
    for batch in self._batches:
        while batch.state < REPLICATED:
            await asyncio.sleep(0.001)
        if batch.failure is not None:
            raise batch.failure


def commits_what_it_proposes(self: write_queue.WriteQueue) -> None:
    proposer, disk = self._proposer, self._disk

    def propose(batch: Any) -> None:
        proposer.propose(batch)
        if batch.state is PROPOSED:
            batch.partition.log.hand(batch.position)
            batch.advance(REPLICATED)
            disk.commit(batch)

    with patch.object(self, "_proposer", SimpleNamespace(propose=propose)):
        PROPOSE(self)


# the code as it is without any mistake
ACCEPT, ANSWER = replica.Replica.accept, peer_api.PeerApi._answer  # noqa: SLF001
ASK = comparison.Comparison._ask  # noqa: SLF001
ADVANCE, CONSIDER = primary_handler.PrimaryHandler.advance, follower_watch.FollowerWatch.consider
ADD = Roster._add  # noqa: SLF001
NEWCOMER, ADVANCE_MARK = converge._newcomer, proof.EngineProof._advance  # noqa: SLF001
PERFORM = performer.Performer._perform  # noqa: SLF001
SESSION = promises.Promises._session  # noqa: SLF001
STAND, PROMISES = primary_handler.Progress.stand, promises.Promises.__init__

PROPOSE = write_queue.WriteQueue.propose_ready
