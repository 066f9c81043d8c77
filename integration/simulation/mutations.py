"""Deliberate mistakes in the protocol. The simulation must find each of them, or it would not find ours."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from dstk_cluster import records
from dstk_cluster.mapstore import MapStore
from dstk_cluster.model import Merged
from dstk_cluster.port import Put
from dstk_storage.domain import converge, orphaned_ranges, proof, store, writes
from dstk_storage.domain.history import History, Term
from dstk_storage.domain.replication import (
    changes,
    comparison,
    feeding,
    following,
    planned,
    rebuild,
    replica,
    replicator,
)
from dstk_storage.domain.replication.leases import Promises, Timing

Patch = tuple[Any, str, Any]


def _lands_at_once(self: replica.Primary) -> list[Any]:
    found = [batch for batch, _ in self.in_flight]
    self.in_flight.clear()
    return found


def _accepts_gaps(self: replica.Replica, epoch: int, entries: Any) -> list[Any]:
    if epoch < self.promised or self.primary is not None or self.rebuilding:
        raise replica.Refused
    self.promise(epoch)
    fresh = [entry for entry in entries if entry.first > self.tail.seq]
    for entry in fresh:
        self.log.truncate(entry.previous)
        self.log.append(entry)
        self.log.hand(entry.position)
    return fresh


async def _does_not_wait(self: following.Following, batches: Any) -> None:
    return None


def _answers_early(self: following.Following, append: Any, batches: Any) -> Any:
    found = self._home.replicas.get(append.partition)
    if batches is None or found is None:
        return _ANSWER(self, append, batches)
    return following.Appended(append.partition, True, found.tail, found.promised, found.rebuilding)


def _hears_everybody(self: following.Following, heartbeat: Any) -> dict[Any, int]:
    for number in heartbeat.claims:
        self._home.promises.hear(number, self._home.around.clock.monotonic())
    self._home.unclaimed_by[heartbeat.sender] = heartbeat.unclaimed
    return {}


async def _changes_without_comparing(self: MapStore, old: Any, new: Any) -> bool:
    put = Put(self.keys.partition(old.id), records.dump_partition(new))
    return (await self.coordinator.txn([], [put])).succeeded


async def _removes_without_etcd(self: changes.Changes, found: replica.Replica, gone: Any) -> None:
    if found.primary is not None:
        for node in gone:
            found.primary.followers[node].required = False
        self._home.feeding.advance(found)


def _everything_is_close(self: feeding.Feeding, found: replica.Replica, progress: replica.Progress) -> bool:
    return found.primary is not None and found.primary.serving


def _has_everything(self: feeding.Feeding, found: replica.Replica, node: Any, progress: replica.Progress) -> None:
    required = progress.required
    _CONSIDER(self, found, node, progress)
    if progress.required and not required:
        progress.known, progress.acked, progress.sent = True, found.tail, found.tail


def _keeps_what_it_accepted(self: replica.Replica) -> None:
    self.primary = None


async def _does_not_rest(self: planned.Planned, found: replica.Replica, primary: Any) -> None:
    return None


def _merges_as_it_stands(new: converge.Assignment, before: Any) -> Any:
    return (
        None
        if not isinstance(new.origin, Merged)
        else History((Term(new.origin.epoch, 1),), new.origin.upper_at.seq + 9)
    )


def _takes_any_epoch(self: replica.Replica, epoch: int, entries: Any) -> list[Any]:
    promised, self.promised = self.promised, 0
    try:
        return _ACCEPT(self, epoch, entries)
    finally:
        self.promised = max(promised, epoch)


def _answers_any_epoch(self: following.Following, append: Any, batches: Any) -> Any:
    return replace(_ANSWER(self, append, batches), promised=append.epoch)


def _serves_at_once(self: feeding.Feeding, found: replica.Replica) -> None:
    primary = found.primary
    if primary is not None and not primary.serving:
        with patch.object(replica.Primary, "at_rest", lambda _self, _tail: True):
            _ADVANCE(self, found)
    else:
        _ADVANCE(self, found)


async def _copies_pages_alone(self: rebuild.Rebuild, _reached: History) -> None:
    self._check()
    self._sent = self._replica.partition.log.history


def _begins_as_heir(self: replicator.Replicator, info: Any, partition: Any) -> None:
    _BEGIN(self, info, partition)
    if info.primary == self.around.me:
        self.replicas[info.id].heir = replica.Heir(info.epoch, info.epoch)


async def _does_not_empty(home: Any, found: replica.Replica) -> None:
    await rebuild._stand(home, found, History(), rebuilding=True)  # noqa: SLF001


def _counts_as_whole(new: Any, before: Any, *, founding: bool) -> Any:
    partition = _NEWCOMER(new, before, founding=founding)
    partition.rebuilding = False
    return partition


async def _raises_no_mark(self: proof.EngineProof, known: Any) -> bool:
    if not self.identity.mark:
        return await _ADVANCE_MARK(self, known)
    self._claimed = True
    return True


# the code as it is without any mistake
_ACCEPT, _ANSWER = replica.Replica.accept, following.Following._answer  # noqa: SLF001
_ASK = comparison.Comparison._ask  # noqa: SLF001
_ADVANCE, _CONSIDER = feeding.Feeding.advance, feeding.Feeding.consider
_BEGIN = replicator.Replicator._begin  # noqa: SLF001
_NEWCOMER, _ADVANCE_MARK = converge._newcomer, proof.EngineProof._advance  # noqa: SLF001

MUTATIONS: dict[str, list[Patch]] = {
    "the primary applies first": [(replica.Primary, "replicated", _lands_at_once)],
    "followers accept entries out of place": [(replica.Replica, "accept", _accepts_gaps)],
    "a follower follows any epoch": [
        (replica.Replica, "accept", _takes_any_epoch),
        (following.Following, "_answer", _answers_any_epoch),
    ],
    "a follower accepts any epoch, and answers with its promise": [(replica.Replica, "accept", _takes_any_epoch)],
    "entries for another range or membership are taken": [(following, "_is_about", lambda _append, _replica: True)],
    "a new primary serves before the others stand where it does": [(feeding.Feeding, "advance", _serves_at_once)],
    "followers answer before their disk": [
        (following.Following, "_on_disk", _does_not_wait),
        (following.Following, "_answer", _answers_early),
    ],
    "the grace period is shorter than the lease": [
        (Timing, "__post_init__", lambda _: None),
        (Promises, "bound_until", lambda self, partition: self.heard.get(partition, self.started) + 0.15),
    ],
    "leases never end": [
        (replicator, "lease_end", lambda _timing, _answered: math.inf),
    ],
    "nobody looks at leases": [
        (store, "check_lease", lambda _partition, _now: None),
        (writes, "check_lease", lambda _partition, _now: None),
    ],
    "a follower answers for a partition that it has promised to another": [
        (following.Following, "on_heartbeat", _hears_everybody),
    ],
    "a learner joins before it has everything": [
        (feeding.Feeding, "_is_close", _everything_is_close),
        (feeding.Feeding, "consider", _has_everything),
    ],
    "a follower is dropped without asking etcd": [(changes.Changes, "remove", _removes_without_etcd)],
    "the map is changed without comparing": [(MapStore, "change", _changes_without_comparing)],
    "a deposed primary keeps what was not acknowledged": [(replica.Replica, "resign", _keeps_what_it_accepted)],
    "the range changes while writes are under way": [
        (planned.Planned, "_come_to_rest", _does_not_rest),
        (replica.Primary, "at_rest", lambda _self, _tail: True),
    ],
    "a restarted node leads the epoch that it led before": [(replicator.Replicator, "_begin", _begins_as_heir)],
    "parts are merged wherever they stand": [(converge, "_merged", _merges_as_it_stands)],
    "a copy is sent its pages alone": [(rebuild.Rebuild, "_catch_up", _copies_pages_alone)],
    "a replica is copied onto what was there": [(rebuild, "_begin", _does_not_empty)],
    "what lies on a disk is believed": [(proof, "doubt", lambda _own, _known, _me, _uid: "")],
    "an engine's mark is never raised": [(proof.EngineProof, "_advance", _raises_no_mark)],
    "what a new engine holds counts as whole": [(converge, "_newcomer", _counts_as_whole)],
    "what differs for a moment counts as damage": [
        (comparison.Comparison, "_ask_at_rest", _ASK),
    ],
    "what moved away stays": [(orphaned_ranges.OrphanedRanges, "change", lambda _self, _more, _held: None)],
}


SHOWN_BY = {
    "the primary applies first": 0,
    "followers accept entries out of place": 1,
    "a follower follows any epoch": 0,
    "a follower accepts any epoch, and answers with its promise": 266,
    "entries for another range or membership are taken": 2,
    "a new primary serves before the others stand where it does": 109,
    "followers answer before their disk": 8,
    "the grace period is shorter than the lease": 11,
    "leases never end": 8,
    "nobody looks at leases": 8,
    "a follower answers for a partition that it has promised to another": 0,
    "a learner joins before it has everything": 8,
    "a follower is dropped without asking etcd": 0,
    "the map is changed without comparing": 0,
    "a deposed primary keeps what was not acknowledged": 1,
    "the range changes while writes are under way": 2,
    "a restarted node leads the epoch that it led before": 35,
    "parts are merged wherever they stand": 9,
    "a copy is sent its pages alone": 1,
    "a replica is copied onto what was there": 0,
    "what lies on a disk is believed": 34,
    "an engine's mark is never raised": 34,
    "what a new engine holds counts as whole": 3,
    "what differs for a moment counts as damage": 7,
    "what moved away stays": 0,
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
