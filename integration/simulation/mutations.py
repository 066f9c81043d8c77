"""Deliberate mistakes in the protocol. The simulation must find each of them, or it would not find ours."""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    orphaned_ranges,
    proof,
    range_export,
    receipt,
    store,
    write_queue,
    writes,
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

Patch = tuple[Any, str, Any]


def _replicates_at_once(self: primary.Primary) -> list[Any]:
    found = [batch for batch, _ in self.in_flight]
    self.in_flight.clear()
    return found


def _accepts_gaps(self: replica.Replica, epoch: int, entries: Any) -> list[Any]:
    if epoch < self.promised or self.primary is not None or self.needs_snapshot:
        raise replica.Refused
    self.promise(epoch)
    fresh = [entry for entry in entries if entry.first > self.log.tail.seq]
    for entry in fresh:
        self.log.truncate(entry.previous)
        self.log.append(entry)
        self.log.hand(entry.position)
    return fresh


async def _does_not_wait(self: peer_api.PeerApi, batches: Any) -> None:
    return None


def _answers_early(self: peer_api.PeerApi, append: Any, batches: Any) -> Any:
    found = self._replicas.get(append.partition)
    if batches is None or found is None:
        return _ANSWER(self, append, batches)
    return peer_api.Appended(append.partition, True, found.log.tail, found.promised, found.needs_snapshot)


def _hears_everybody(self: follower_handler.FollowerHandler, partition: Any, epoch: int) -> int | None:
    return None


async def _changes_without_comparing(self: MapStore, old: Any, new: Any) -> bool:
    put = Put(self.keys.partition(old.id), records.dump_partition(new))
    return (await self.coordinator.txn([], [put])).succeeded


async def _evicts_without_etcd(self: map_changes.MapChanges, found: replica.Replica, nodes: Any) -> None:
    if found.primary is not None:
        for node in nodes:
            found.primary.followers[node].required = False
        self._updater._outbox.change(found)  # noqa: SLF001
        self._updater._primaries.advance(found)  # noqa: SLF001
        self._flush()


def _everything_is_close(self: follower_watch.FollowerWatch, found: replica.Replica, *_: Any) -> bool:
    return found.primary is not None and found.primary.is_serving


def _has_everything(
    self: follower_watch.FollowerWatch, found: replica.Replica, node: Any, progress: Any, now: float
) -> None:
    required = progress.required
    _CONSIDER(self, found, node, progress, now)
    if progress.required and not required:
        progress.state, progress.acked = FollowerState.JOINING, found.log.tail
        progress.cursor.seek(found.log.tail)


def _keeps_what_it_accepted(self: replica.Replica) -> None:
    self.primary = None


async def _does_not_quiesce(self: quiescing.Quiescing, found: replica.Replica, leading: Any) -> None:
    return None


def _merges_as_it_stands(new: converge.Assignment, before: Any) -> Any:
    if not isinstance(new.origin, Merged):
        return None
    return History((Term(new.origin.epoch, 1),), new.origin.upper_at.seq + 9)


def _takes_any_epoch(self: replica.Replica, epoch: int, entries: Any) -> list[Any]:
    promised, self.promised = self.promised, 0
    try:
        return _ACCEPT(self, epoch, entries)
    finally:
        self.promised = max(promised, epoch)


def _answers_any_epoch(self: peer_api.PeerApi, append: Any, batches: Any) -> Any:
    return replace(_ANSWER(self, append, batches), promised=append.epoch)


def _serves_at_once(self: primary_handler.PrimaryHandler, found: replica.Replica) -> None:
    leading = found.primary
    if leading is not None and not leading.is_serving:
        with patch.object(primary.Primary, "is_quiet", lambda _self, _tail: True):
            _ADVANCE(self, found)
    else:
        _ADVANCE(self, found)


def _exports_pages_alone(self: range_export.RangeExport, reached: History) -> Iterator[Any]:
    self.history = reached
    return iter(())


def _begins_with_a_grant(self: Roster, info: Any, partition: Any) -> None:
    _ADD(self, info, partition)
    if info.primary == self._me:
        self._replicas[info.id].grant = replica.Grant(info.epoch, info.epoch)


async def _does_not_empty(self: snapshot_receiver.SnapshotReceiver, found: replica.Replica, attempt: int) -> None:
    found.partition.copied_by = attempt
    await self._stand(found, History(), needs_snapshot=True)


def _counts_as_whole(new: Any, before: Any, *, founding: bool) -> Any:
    partition = _NEWCOMER(new, before, founding=founding)
    partition.rebuilding = False
    return partition


async def _raises_no_mark(self: proof.EngineProof, known: Any) -> bool:
    if not self.identity.mark:
        return await _ADVANCE_MARK(self, known)
    self._claimed = True
    return True


def _forgets_refusals(self: lease_book.LeaseBook, node: Any, pair: Any, partition: Any) -> None:
    return None


def _drops_step_down(self: performer.Performer, action: Any) -> None:
    if isinstance(action, performer.StepDown):
        action.replica.partition.pending.abandon(performer.CommitFailed("dropped"))
        return
    _PERFORM(self, action)


def _publishes_late(self: performer.Performer) -> None:
    return None


def _is_known_from_anywhere(self: Any, position: Any, *, accepted: bool) -> None:
    _STAND(self, max(position, self.cursor.position), accepted=accepted)


def _hears_what_it_cannot_know(self: promises.Promises, heartbeat: Any) -> Any:
    session = self._sessions.get(heartbeat.sender)
    return session if session is not None else _SESSION(self, replace(heartbeat, base=0))


def _is_bound_briefly(self: promises.Promises, timing: Timing, started: float) -> None:
    _PROMISES(self, replace(timing, grace=0.15, start=0.15), started)


async def _waits_for_followers_alone(self: receipt.Receipt) -> None:
    for batch in self._batches:
        while batch.state < REPLICATED:
            await asyncio.sleep(0.001)
        if batch.failure is not None:
            raise batch.failure


def _commits_what_it_proposes(self: write_queue.WriteQueue) -> None:
    proposer, disk = self._proposer, self._disk

    def propose(batch: Any) -> None:
        proposer.propose(batch)
        if batch.state is PROPOSED:
            batch.partition.log.hand(batch.position)
            batch.advance(REPLICATED)
            disk.commit(batch)

    with patch.object(self, "_proposer", SimpleNamespace(propose=propose)):
        _PROPOSE(self)


# the code as it is without any mistake
_ACCEPT, _ANSWER = replica.Replica.accept, peer_api.PeerApi._answer  # noqa: SLF001
_ASK = comparison.Comparison._ask  # noqa: SLF001
_ADVANCE, _CONSIDER = primary_handler.PrimaryHandler.advance, follower_watch.FollowerWatch.consider
_ADD = Roster._add  # noqa: SLF001
_NEWCOMER, _ADVANCE_MARK = converge._newcomer, proof.EngineProof._advance  # noqa: SLF001
_PERFORM = performer.Performer._perform  # noqa: SLF001
_SESSION = promises.Promises._session  # noqa: SLF001
_STAND, _PROMISES = primary_handler.Progress.stand, promises.Promises.__init__

_PROPOSE = write_queue.WriteQueue.propose_ready

MUTATIONS: dict[str, list[Patch]] = {
    "the primary applies first": [(primary.Primary, "take_replicated", _replicates_at_once)],
    "followers accept entries out of place": [(replica.Replica, "accept", _accepts_gaps)],
    "a follower follows any epoch": [
        (replica.Replica, "accept", _takes_any_epoch),
        (peer_api.PeerApi, "_answer", _answers_any_epoch),
    ],
    "a follower accepts any epoch, and answers with its promise": [(replica.Replica, "accept", _takes_any_epoch)],
    "entries for another range or membership are taken": [
        (follower_handler, "is_about", lambda _append, _replica: True)
    ],
    "a new primary serves before the others stand where it does": [
        (primary_handler.PrimaryHandler, "advance", _serves_at_once)
    ],
    "followers answer before their disk": [
        (peer_api.PeerApi, "_on_disk", _does_not_wait),
        (peer_api.PeerApi, "_answer", _answers_early),
    ],
    "the grace period is shorter than the lease": [
        (Timing, "__post_init__", lambda _: None),
        (promises.Promises, "__init__", _is_bound_briefly),
    ],
    "leases never end": [(lease_book.LeaseBook, "_end", lambda _self, _partition, _group: math.inf)],
    "nobody looks at leases": [
        (store, "check_lease", lambda _partition, _now: None),
        (writes, "check_lease", lambda _partition, _now: None),
    ],
    "a follower answers for a partition that it has promised to another": [
        (follower_handler.FollowerHandler, "judge", _hears_everybody),
    ],
    "a learner joins before it has everything": [
        (follower_watch.FollowerWatch, "_is_close", _everything_is_close),
        (follower_watch.FollowerWatch, "consider", _has_everything),
    ],
    "a follower is dropped without asking etcd": [(map_changes.MapChanges, "evict", _evicts_without_etcd)],
    "the map is changed without comparing": [(MapStore, "change", _changes_without_comparing)],
    "a deposed primary keeps what was not acknowledged": [(replica.Replica, "resign", _keeps_what_it_accepted)],
    "the range changes while writes are under way": [
        (quiescing.Quiescing, "_quiesce", _does_not_quiesce),
        (primary.Primary, "is_quiet", lambda _self, _tail: True),
    ],
    "a restarted node leads the epoch that it led before": [(Roster, "_add", _begins_with_a_grant)],
    "parts are merged wherever they stand": [(converge, "_merged", _merges_as_it_stands)],
    "a copy is sent its pages alone": [(range_export.RangeExport, "_entries", _exports_pages_alone)],
    "a replica is copied onto what was there": [(snapshot_receiver.SnapshotReceiver, "_empty", _does_not_empty)],
    "what lies on a disk is believed": [(proof, "doubt", lambda _own, _known, _me, _uid: "")],
    "an engine's mark is never raised": [(proof.EngineProof, "_advance", _raises_no_mark)],
    "what a new engine holds counts as whole": [(converge, "_newcomer", _counts_as_whole)],
    "what differs for a moment counts as damage": [
        (comparison.Comparison, "_ask_at_rest", _ASK),
    ],
    "a receipt rests on nothing": [(receipt.Receipt, "rest_on", lambda _self, _batch: None)],
    "a receipt forgets the writes that its caller is told of": [
        (writes, "_rest_on", lambda _partition, _receipt: None),
    ],
    "a batch is committed when it is only proposed": [
        (write_queue.WriteQueue, "propose_ready", _commits_what_it_proposes),
    ],
    "callers are answered before the primary's disk": [(receipt.Receipt, "durable", _waits_for_followers_alone)],
    "what moved away stays": [(orphaned_ranges.OrphanedRanges, "change", lambda _self, _more, _held: None)],
    "a promise is not told to the pairs": [
        (follower_handler.FollowerHandler, "promised", lambda _self, _partition: None),
    ],
    "a refusal does not end a partition's cover": [(lease_book.LeaseBook, "_uncover", _forgets_refusals)],
    "a primary that steps down goes on serving": [(performer.Performer, "_perform", _drops_step_down)],
    "an action is dropped: claims and leases are not published": [(performer.Performer, "_publish", _publishes_late)],
    "what was sent counts as acknowledged": [(primary_handler.Progress, "stand", _is_known_from_anywhere)],
    "a heartbeat is believed by a node that has lost track": [
        (promises.Promises, "_session", _hears_what_it_cannot_know)
    ],
}


SHOWN_BY = {
    "the primary applies first": 0,
    "followers accept entries out of place": 8,
    "a follower follows any epoch": 23,
    "a follower accepts any epoch, and answers with its promise": 23,
    "entries for another range or membership are taken": 31,
    "a new primary serves before the others stand where it does": 1083,
    "followers answer before their disk": 3,
    "the grace period is shorter than the lease": 104,
    "leases never end": 0,
    "nobody looks at leases": 3,
    "a follower answers for a partition that it has promised to another": 21,
    "a learner joins before it has everything": 1,
    "a follower is dropped without asking etcd": 0,
    "the map is changed without comparing": 2,
    "a deposed primary keeps what was not acknowledged": 19,
    "the range changes while writes are under way": 1,
    "a restarted node leads the epoch that it led before": 204,
    "parts are merged wherever they stand": 0,
    "a copy is sent its pages alone": 0,
    "a replica is copied onto what was there": 2,
    "what lies on a disk is believed": 2,
    "an engine's mark is never raised": 2,
    "what a new engine holds counts as whole": 1,
    "what differs for a moment counts as damage": 6,
    "a receipt rests on nothing": 0,
    "a receipt forgets the writes that its caller is told of": 0,
    "a batch is committed when it is only proposed": 0,
    "callers are answered before the primary's disk": 1,
    "what moved away stays": 1,
    "a promise is not told to the pairs": 11,
    "a refusal does not end a partition's cover": 22,
    "a primary that steps down goes on serving": 0,
    "an action is dropped: claims and leases are not published": 0,
    "what was sent counts as acknowledged": 6,
    "a heartbeat is believed by a node that has lost track": 2,
}
"""A schedule that showed each mistake when it was last looked for. It is tried first: any change of the code may make it
another. `make simulate MUTATION=all` looks for all of them.
"""


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """With one of the mistakes made."""
    patches: list[Callable[[], Any]] = [patch.object(*each) for each in MUTATIONS[name]]  # type: ignore[misc]
    for each in patches:
        each.start()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for each in patches:
            each.stop()  # type: ignore[attr-defined]
