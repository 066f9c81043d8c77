"""The partition map in etcd. Every change is one transaction that compares the revision of each key that it depends on."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from dstk_cluster import records
from dstk_cluster.model import Change, ClusterMap, MapInvalid, PartitionInfo, SplitOff
from dstk_cluster.port import Coordinator, Delete, Entry, Put, RevisionIs, ValueIs, WatchBatch, in_chunks
from dstk_cluster.records import Keys
from dstk_keytypes import Key, KeyRange, NodeId, PartitionId

BOOTSTRAP_SECONDS = 10
"""How long one node may take to create the map. After that, another node can start over."""


class MapConflict(Exception):
    """The map has changed meanwhile. Read it again."""


class MapStore:
    """The map of one cluster."""

    def __init__(self, coordinator: Coordinator, cluster: str) -> None:
        self.coordinator = coordinator
        self.cluster = cluster
        self.keys = Keys(cluster)

    async def ensure_cluster_uid(self) -> str:
        """Returns the cluster's uid, and creates it if there is none."""
        return await self._ensure(self.keys.cluster, "uid", secrets.token_hex(8))

    async def ensure_secret(self) -> str:
        """Returns the secret that authenticates calls between storage nodes, and creates it if there is none. Never log it."""
        return await self._ensure(self.keys.secret, "secret", secrets.token_hex(16))

    async def _ensure(self, key: bytes, field: str, value: str) -> str:
        while (entry := await self.coordinator.get(key)) is None:
            await self.coordinator.txn([RevisionIs(key, 0)], [Put(key, records.dump(**{field: value}))])
        return str(records.load(entry.value)[field])

    async def load(self) -> ClusterMap:
        """Reads the whole map. It has no partitions before the cluster is bootstrapped."""
        entries, revision = await self.coordinator.range(self.keys.root)
        return self.parse(entries, revision)

    def parse(self, entries: Iterable[Entry], revision: int) -> ClusterMap:
        """Decodes the map from etcd's entries."""
        uid, mapped = "", False
        partitions: list[PartitionInfo] = []
        nodes = {}
        for entry in entries:
            if entry.key == self.keys.cluster:
                uid = str(records.load(entry.value)["uid"])
            elif entry.key == self.keys.map:
                mapped = True
            elif entry.key.startswith(self.keys.partitions):
                partitions.append(records.load_partition(self.keys.partition_id(entry.key), entry.value))
            elif entry.key.startswith(self.keys.nodes):
                node_id = self.keys.node_id(entry.key)
                nodes[node_id] = records.load_node(node_id, entry.value)
        return ClusterMap(revision, self.cluster, uid, tuple(partitions) if mapped else (), nodes)

    def read_change(self, batch: WatchBatch) -> Change:
        """Decodes the changes of the map in a watched revision."""
        keys = self.keys
        return Change(
            batch.revision,
            tuple(
                records.load_partition(keys.partition_id(entry.key), entry.value)
                for entry in batch.puts
                if entry.key.startswith(keys.partitions)
            ),
            tuple(keys.partition_id(key) for key in batch.deletes if key.startswith(keys.partitions)),
            tuple(
                records.load_node(keys.node_id(entry.key), entry.value)
                for entry in batch.puts
                if entry.key.startswith(keys.nodes)
            ),
            tuple(keys.node_id(key) for key in batch.deletes if key.startswith(keys.nodes)),
        )

    async def bootstrap(self, split_keys: Sequence[Key], node_ids: Sequence[NodeId], replicas: int = 1) -> bool:
        """Creates the map of a new cluster, with the partitions and their replicas distributed evenly over the nodes.

        `replicas`: of each partition, at most the number of nodes. Returns False if there is a map or another node is
        creating one. The holder of the leased lock writes the partitions in chunks, each of which compares the lock, and at
        last the key that makes the map valid. If it dies meanwhile, the next node replaces its keys.
        """
        wanted = _distribute(split_keys, node_ids, replicas)
        lease = await self.coordinator.grant_lease(BOOTSTRAP_SECONDS)
        try:
            held = await self.coordinator.txn(
                [RevisionIs(self.keys.map, 0), RevisionIs(self.keys.lock, 0)],
                [Put(self.keys.lock, records.dump(), lease)],
            )
            return held.succeeded and await self._write_map(wanted, RevisionIs(self.keys.lock, held.revision))
        finally:
            await self.coordinator.revoke(lease)

    async def read(self, partition: PartitionId) -> PartitionInfo | None:
        """Reads the current entry of a partition; None if there is none."""
        entry = await self.coordinator.get(self.keys.partition(partition))
        return None if entry is None else records.load_partition(partition, entry.value)

    async def change(self, old: PartitionInfo, new: PartitionInfo) -> bool:
        """Replaces the entry `old` by `new`, which has a higher epoch. Returns False if the entry is not `old` any more."""
        assert new.id == old.id
        assert new.epoch > old.epoch
        assert new.primary in new.in_sync, f"the primary of {new} is not in sync"
        key = self.keys.partition(old.id)
        put = Put(key, records.dump_partition(new))
        if (await self.coordinator.txn([ValueIs(key, records.dump_partition(old))], [put])).succeeded:
            return True
        # It is another entry, or the same one in another encoding, as another version of this program may write it.
        current = await self.coordinator.get(key)
        if current is None or records.load_partition(old.id, current.value) != old:
            return False
        return (await self.coordinator.txn([RevisionIs(key, current.revision)], [put])).succeeded

    async def split(self, partition: PartitionInfo, at: Key) -> tuple[PartitionInfo, PartitionInfo]:
        """Replaces a partition by two, with the next epoch and the same replicas. Raises MapConflict, InvalidRange."""
        lower_range, upper_range = partition.range.split(at)
        key = self.keys.partition(partition.id)
        current, mapped = await self.coordinator.get(key), await self.coordinator.get(self.keys.map)
        if mapped is None or current is None or records.load_partition(partition.id, current.value) != partition:
            raise MapConflict(f"partition {partition.id} has changed")
        next_id = PartitionId(int(records.load(mapped.value)["next_id"]))
        lower = replace(partition, range=lower_range, epoch=partition.epoch + 1, origin=None)
        upper = replace(lower, id=next_id, range=upper_range, origin=SplitOff(partition.id))
        result = await self.coordinator.txn(
            [RevisionIs(key, current.revision), RevisionIs(self.keys.map, mapped.revision)],
            [
                Put(key, records.dump_partition(lower)),
                Put(self.keys.partition(next_id), records.dump_partition(upper)),
                Put(self.keys.map, records.dump(next_id=next_id + 1)),
            ],
        )
        if not result.succeeded:
            raise MapConflict(f"partition {partition.id} has changed")
        return lower, upper

    async def merge(self, lower: PartitionInfo, upper: PartitionInfo, merged: PartitionInfo) -> None:
        """Replaces two neighbours by one, which keeps the id of the lower one. Raises MapConflict."""
        assert merged.epoch > max(lower.epoch, upper.epoch)
        keys = [self.keys.partition(lower.id), self.keys.partition(upper.id)]
        entries = [await self.coordinator.get(key) for key in keys]
        compares = []
        for key, entry, expected in zip(keys, entries, (lower, upper), strict=True):
            if entry is None or records.load_partition(expected.id, entry.value) != expected:
                raise MapConflict(f"partition {expected.id} has changed")
            compares.append(RevisionIs(key, entry.revision))
        changes: list[Put | Delete] = [Put(keys[0], records.dump_partition(merged)), Delete(keys[1])]
        if not (await self.coordinator.txn(compares, changes)).succeeded:
            raise MapConflict(f"partition {lower.id} or {upper.id} has changed")

    async def _write_map(self, wanted: Sequence[PartitionInfo], lock: RevisionIs) -> bool:
        existing, _ = await self.coordinator.range(self.keys.partitions)
        stale = [Delete(entry.key) for entry in existing]
        puts = [Put(self.keys.partition(partition.id), records.dump_partition(partition)) for partition in wanted]
        marker = Put(self.keys.map, records.dump(next_id=len(wanted) + 1))
        for changes in [*in_chunks(stale), *in_chunks(puts), [marker]]:
            if not (await self.coordinator.txn([lock], changes)).succeeded:
                return False
        return True


def _distribute(split_keys: Sequence[Key], node_ids: Sequence[NodeId], replicas: int) -> list[PartitionInfo]:
    if not node_ids:
        raise MapInvalid("a cluster needs at least one node")
    nodes = sorted(node_ids)
    bounds = [b"", *sorted(set(split_keys)), None]
    partitions = []
    for number, (start, end) in enumerate(pairwise(bounds)):
        first = number % len(nodes)
        members = tuple((nodes[first:] + nodes[:first])[:replicas])
        key_range = KeyRange(bytes(start or b""), None if end is None else bytes(end))
        partitions.append(PartitionInfo(PartitionId(number + 1), key_range, 1, members[0], members, members))
    return partitions
