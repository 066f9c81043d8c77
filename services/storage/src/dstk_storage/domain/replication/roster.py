"""The replicas of one node, kept in line with the partition map. Pure."""

from collections.abc import Iterable, Mapping

from dstk_cluster.model import PartitionInfo, SplitOff
from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.log import share
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.actions import Outbox, Quarantine
from dstk_storage.domain.replication.map_updater import MapUpdater
from dstk_storage.domain.replication.replica import Grant, PromiseKeeper, Replica
from dstk_storage.domain.replication.stepping_down import step_down

Replicas = dict[PartitionId, Replica]


class Roster:
    """A newer map arrives in three steps: `adopt`; then the store brings what lies on disk in line; then `line_up`."""

    def __init__(
        self, me: NodeId, replicas: Replicas, outbox: Outbox, updater: MapUpdater, keeper: PromiseKeeper
    ) -> None:
        self._me, self._replicas, self._outbox = me, replicas, outbox
        self._updater, self._keeper = updater, keeper

    def adopt(self, mine: Mapping[PartitionId, PartitionInfo], now: float) -> list[PartitionInfo]:
        """Drops the replicas that the map gives to this node no more, and has the others adopt their entries. Returns the
        newest entry of each: a primary may know of a change that it has made itself before the watch does.
        """
        for number, replica in list(self._replicas.items()):
            info = mine.get(number)
            if info is None:
                self._drop(number, replica)
            elif info.epoch > replica.info.epoch:
                self._updater.follow(replica, info, now)
        return [self._replicas[number].info if number in self._replicas else info for number, info in mine.items()]

    def line_up(self, held: Iterable[tuple[PartitionInfo, Partition]]) -> None:
        """Goes by what the store holds now."""
        for info, partition in held:
            replica = self._replicas.get(info.id)
            if replica is None:
                self._add(info, partition)
            elif replica.range != partition.range:
                replica.change_range()
                self._keeper.promised(info.id)
        tail_bytes = share(len(self._replicas))
        for replica in self._replicas.values():
            replica.log.resize(tail_bytes)
            self.set_apart(replica)

    def set_apart(self, replica: Replica) -> None:
        """What this node alone has in sync, and not whole, is quarantined: callers are told so, and nobody serves it, until
        another replica is taken for the truth (R13).
        """
        is_lost = replica.needs_snapshot and replica.info.in_sync == (self._me,)
        if is_lost != replica.is_lost:
            replica.is_lost = is_lost
            self._outbox.add(Quarantine(replica, is_lost))

    def reset(self) -> None:
        """The engine has been replaced by an empty one: every replica needs a snapshot."""
        for replica in self._replicas.values():
            replica.is_suspect = False
            self._keeper.promised(replica.info.id)

    def _drop(self, number: PartitionId, replica: Replica) -> None:
        step_down(replica, self._outbox)
        del self._replicas[number]
        self._outbox.change(replica)
        self._keeper.promised(number)

    def _add(self, info: PartitionInfo, partition: Partition) -> None:
        replica = Replica(self._me, info, partition, info.epoch, partition.range, self._keeper)
        parent = self._replicas.get(info.origin.parent) if isinstance(info.origin, SplitOff) else None
        if parent is not None and parent.is_quiesced and parent.info.epoch == info.epoch:
            replica.grant = Grant(info.epoch, info.epoch)
        self._replicas[info.id] = replica
        self._outbox.change(replica)
        self._keeper.promised(info.id)
