"""Deliberate mistakes in the protocol. The simulation must find each of them, or it would not find ours."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from dstk_cluster.mapstore import MapStore
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
from dstk_storage.domain.replication import (
    follower_handler,
    follower_watch,
    lease_book,
    primary,
    primary_handler,
    promises,
    replica,
)
from dstk_storage.domain.replication.roster import Roster
from dstk_storage.domain.replication.runtime import (
    comparison,
    map_changes,
    peer_api,
    performer,
    quiescing,
    reactor,
    snapshot_receiver,
)
from dstk_storage.domain.replication.timing import Timing
from simulation.mistakes import (
    ASK,
    accepts_gaps,
    answers_any_epoch,
    answers_early,
    begins_with_a_grant,
    changes_without_comparing,
    commits_what_it_proposes,
    counts_as_whole,
    does_not_empty,
    does_not_quiesce,
    does_not_wait,
    drops_step_down,
    everything_is_close,
    evicts_without_etcd,
    exports_pages_alone,
    forgets_refusals,
    has_everything,
    hears_everybody,
    hears_what_it_cannot_know,
    is_bound_briefly,
    is_known_from_anywhere,
    keeps_what_it_accepted,
    merges_as_it_stands,
    publishes_late,
    raises_no_mark,
    replicates_at_once,
    serves_at_once,
    takes_any_epoch,
    waits_for_followers_alone,
)

Patch = tuple[Any, str, Any]

MUTATIONS: dict[str, list[Patch]] = {
    "the primary applies first": [(primary.Primary, "take_replicated", replicates_at_once)],
    "followers accept entries out of place": [(replica.Replica, "accept", accepts_gaps)],
    "a follower follows any epoch": [
        (replica.Replica, "accept", takes_any_epoch),
        (peer_api.PeerApi, "_answer", answers_any_epoch),
    ],
    "a follower accepts any epoch, and answers with its promise": [(replica.Replica, "accept", takes_any_epoch)],
    "entries for another range or membership are taken": [
        (follower_handler, "is_about", lambda _append, _replica: True)
    ],
    "a new primary serves before the others stand where it does": [
        (primary_handler.PrimaryHandler, "advance", serves_at_once)
    ],
    "followers answer before their disk": [
        (peer_api.PeerApi, "_on_disk", does_not_wait),
        (peer_api.PeerApi, "_answer", answers_early),
    ],
    "the grace period is shorter than the lease": [
        (Timing, "__post_init__", lambda _: None),
        (promises.Promises, "__init__", is_bound_briefly),
    ],
    "leases never end": [(lease_book.LeaseBook, "_end", lambda _self, _partition, _group: math.inf)],
    "nobody looks at leases": [
        (store, "check_lease", lambda _partition, _now: None),
        (writes, "check_lease", lambda _partition, _now: None),
    ],
    "a follower answers for a partition that it has promised to another": [
        (follower_handler.FollowerHandler, "judge", hears_everybody),
    ],
    "a learner joins before it has everything": [
        (follower_watch.FollowerWatch, "_is_close", everything_is_close),
        (follower_watch.FollowerWatch, "consider", has_everything),
    ],
    "a follower is dropped without asking etcd": [(map_changes.MapChanges, "evict", evicts_without_etcd)],
    "the map is changed without comparing": [(MapStore, "change", changes_without_comparing)],
    "a deposed primary keeps what was not acknowledged": [(replica.Replica, "resign", keeps_what_it_accepted)],
    "the range changes while writes are under way": [
        (quiescing.Quiescing, "_quiesce", does_not_quiesce),
        (primary.Primary, "is_quiet", lambda _self, _tail: True),
    ],
    "a restarted node leads the epoch that it led before": [(Roster, "_add", begins_with_a_grant)],
    "parts are merged wherever they stand": [(converge, "_merged", merges_as_it_stands)],
    "a copy is sent its pages alone": [(range_export.RangeExport, "_entries", exports_pages_alone)],
    "a replica is copied onto what was there": [(snapshot_receiver.SnapshotReceiver, "_empty", does_not_empty)],
    "what lies on a disk is believed": [(proof, "doubt", lambda _own, _known, _me, _uid: "")],
    "an engine's mark is never raised": [(proof.EngineProof, "_advance", raises_no_mark)],
    "what a new engine holds counts as whole": [(converge, "_newcomer", counts_as_whole)],
    "what differs for a moment counts as damage": [
        (comparison.Comparison, "_ask_at_rest", ASK),
    ],
    "a receipt rests on nothing": [(receipt.Receipt, "rest_on", lambda _self, _batch: None)],
    "a receipt forgets the writes that its caller is told of": [
        (writes, "_rest_on", lambda _partition, _receipt: None),
    ],
    "a batch is committed when it is only proposed": [
        (write_queue.WriteQueue, "propose_ready", commits_what_it_proposes),
    ],
    "callers are answered before the primary's disk": [(receipt.Receipt, "durable", waits_for_followers_alone)],
    "what moved away stays": [(orphaned_ranges.OrphanedRanges, "change", lambda _self, _more, _held: None)],
    "a promise is not told to the pairs": [
        (follower_handler.FollowerHandler, "promised", lambda _self, _partition: None),
    ],
    "a refusal does not end a partition's cover": [(lease_book.LeaseBook, "_uncover", forgets_refusals)],
    "a primary that steps down goes on serving": [(performer.Performer, "_perform", drops_step_down)],
    "an action is dropped: claims and leases are not published": [(performer.Performer, "_publish", publishes_late)],
    "what was sent counts as acknowledged": [(primary_handler.Progress, "stand", is_known_from_anywhere)],
    "a heartbeat is believed by a node that has lost track": [
        (promises.Promises, "_session", hears_what_it_cannot_know)
    ],
    "positions are not read again after the engine was reopened": [
        (store.Store, "reread", lambda _self, _before: None)
    ],
    "a primary goes on leading when its reopened engine has more": [
        (reactor.Reactor, "_step_down", lambda _self, _partition: None)
    ],
}


SHOWN_BY = {
    "the primary applies first": 1,
    "followers accept entries out of place": 9,
    "a follower follows any epoch": 323,
    "a follower accepts any epoch, and answers with its promise": 200,
    "entries for another range or membership are taken": 13,
    "a new primary serves before the others stand where it does": 2,
    "followers answer before their disk": 28,
    "the grace period is shorter than the lease": 51,
    "leases never end": 21,
    "nobody looks at leases": 22,
    "a follower answers for a partition that it has promised to another": 21,
    "a learner joins before it has everything": 10,
    "a follower is dropped without asking etcd": 0,
    "the map is changed without comparing": 10,
    "a deposed primary keeps what was not acknowledged": 6,
    "the range changes while writes are under way": 0,
    "a restarted node leads the epoch that it led before": 11,
    "parts are merged wherever they stand": 11,
    "a copy is sent its pages alone": 0,
    "a replica is copied onto what was there": 0,
    "what lies on a disk is believed": 15,
    "an engine's mark is never raised": 15,
    "what a new engine holds counts as whole": 9,
    "what differs for a moment counts as damage": 7,
    "a receipt rests on nothing": 0,
    "a receipt forgets the writes that its caller is told of": 3,
    "a batch is committed when it is only proposed": 0,
    "callers are answered before the primary's disk": 5,
    "what moved away stays": 1,
    "a promise is not told to the pairs": 9,
    "a refusal does not end a partition's cover": 21,
    "a primary that steps down goes on serving": 0,
    "an action is dropped: claims and leases are not published": 0,
    "what was sent counts as acknowledged": 16,
    "a heartbeat is believed by a node that has lost track": 0,
    "positions are not read again after the engine was reopened": 17,
    "a primary goes on leading when its reopened engine has more": 363,
}
"""A schedule that showed each mistake when it was last looked for. It is tried first: any change of the code may make it
another. `make simulate MUTATION=all` looks for all of them.
"""


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """With one of the mistakes made."""
    with ExitStack() as patches:
        for each in MUTATIONS[name]:
            patches.enter_context(patch.object(*each))
        yield
