"""The state machines of one node, put together. Pure: they change when an event is given to them, and fill the outbox."""

from dataclasses import dataclass

from dstk_keytypes import NodeId
from dstk_storage.domain.replication.actions import Elect, Outbox
from dstk_storage.domain.replication.election import Elections
from dstk_storage.domain.replication.follower_handler import FollowerHandler
from dstk_storage.domain.replication.follower_watch import Disk, FollowerWatch
from dstk_storage.domain.replication.in_sync import InSyncManager
from dstk_storage.domain.replication.lease_book import LeaseBook
from dstk_storage.domain.replication.map_updater import MapUpdater
from dstk_storage.domain.replication.primary_handler import PrimaryHandler
from dstk_storage.domain.replication.promises import Promises
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.roster import Replicas, Roster
from dstk_storage.domain.replication.stepping_down import step_down
from dstk_storage.domain.replication.timing import Timing


@dataclass(frozen=True, slots=True)
class Machines:
    """Each takes the others that it needs when it is made; nothing takes this whole but what gives it events."""

    me: NodeId
    replicas: Replicas
    outbox: Outbox
    leases: LeaseBook
    promises: Promises
    in_sync: InSyncManager
    watch: FollowerWatch
    primaries: PrimaryHandler
    followers: FollowerHandler
    updater: MapUpdater
    elections: Elections
    roster: Roster
    disk: Disk

    @staticmethod
    def of(me: NodeId, timing: Timing, disk: Disk, now: float, incarnation: int) -> "Machines":
        """`now`: when the process starts, on the monotonic clock. `incarnation`: a random number of up to 47 bits."""
        replicas: Replicas = {}
        outbox = Outbox()
        leases, promises = LeaseBook(me, timing, incarnation), Promises(timing, now)
        in_sync = InSyncManager(timing.lease, timing.stall)
        watch = FollowerWatch(outbox, leases, in_sync, disk, timing)
        primaries = PrimaryHandler(outbox, leases, in_sync, disk, watch)
        followers = FollowerHandler(replicas, outbox, promises, disk, timing)
        updater = MapUpdater(outbox, primaries)
        elections = Elections(outbox, promises, in_sync, primaries)
        roster = Roster(me, replicas, outbox, updater, followers)
        return Machines(
            me,
            replicas,
            outbox,
            leases,
            promises,
            in_sync,
            watch,
            primaries,
            followers,
            updater,
            elections,
            roster,
            disk,
        )

    def tick(self, now: float, *, writing: object, is_corrupt: bool) -> None:
        """Looks at what is due. `writing`: what the disk has under way; `is_corrupt`: its engine has met a corrupt block."""
        self._watch_disk(now, writing)
        for partition in (*self.leases.fall_silent(now), *self.promises.fall_silent(now)):
            if (replica := self.replicas.get(partition)) is not None:
                self.outbox.touch(replica)
        restless = [replica for replica in self.outbox.restless if self.replicas.get(replica.info.id) is replica]
        self.outbox.restless = {}
        self.watch.count_joining(restless)
        for replica in restless:
            self._look(replica, now, is_corrupt=is_corrupt)

    def touch_all(self) -> None:
        """Something that holds for every replica has changed."""
        for replica in self.replicas.values():
            self.outbox.touch(replica)

    def elect_own(self, now: float, *, is_corrupt: bool) -> None:
        """Has what the map gives to this node to lead elected at once, rather than by the next tick."""
        for replica in list(self.outbox.restless):
            if replica.info.primary == self.me and self.replicas.get(replica.info.id) is replica:
                self._elect_if_due(replica, now, is_corrupt=is_corrupt)

    def _watch_disk(self, now: float, writing: object) -> None:
        has_changed = self.in_sync.watch_own_disk(writing, now)
        if self.in_sync.own_disk_hangs:
            for replica in self.replicas.values():
                if len(replica.info.in_sync) > 1:
                    step_down(replica, self.outbox)
        if has_changed or self.disk.intake.data is not None:
            self.touch_all()

    def _look(self, replica: Replica, now: float, *, is_corrupt: bool) -> None:
        primary = replica.primary
        if primary is not None:
            self.watch.look(replica, primary, now)
            if not self.watch.is_calm(replica, primary, now):
                self.outbox.touch(replica)
        elif not self._elect_if_due(replica, now, is_corrupt=is_corrupt) and not self.elections.is_calm(replica):
            self.outbox.touch(replica)

    def _elect_if_due(self, replica: Replica, now: float, *, is_corrupt: bool) -> bool:
        if replica.primary is not None or not self.elections.is_due(replica, now, is_corrupt=is_corrupt):
            return False
        replica.is_electing = True
        self.outbox.add(Elect(replica))
        self.outbox.change(replica)
        return True
