"""Overrides: what operators did to single partitions by hand, so that the controller does not undo it.

They are kept apart from the event log, which keeps only its newest entries: an override lasts a day, and more than a thousand
events can happen in a day.

/dstk/<cluster>/overrides/<partition>/<kind>   {"version", "action", "at_ms", "subject", "nodes"}
/dstk/<cluster>/overrides-adopted              {"version", "at_ms", "partitions"}: what the first controller found
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dstk_cluster import records
from dstk_cluster.model import ClusterMap
from dstk_cluster.port import Coordinator, Delete, Entry, Put, RevisionIs, in_chunks
from dstk_cluster.records import Keys
from dstk_keytypes import NodeId, PartitionId

ADOPTED: Final = "adopted"
"""The action of the overrides that the first controller adopts: the initial boundaries of the cluster."""

_BOUNDARY: Final = {"split", "merge", ADOPTED}
_FORGOTTEN_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Override:
    """What an operator did to a partition. `action`: as in PlannedStep; `subject`: the node that it concerned, if any;
    `nodes`: the nodes that the cluster had at that time.
    """

    partition: PartitionId
    action: str
    at_ms: int
    subject: NodeId | None = None
    nodes: frozenset[NodeId] = frozenset()

    @property
    def kind(self) -> str:
        """The kind: "boundary" or "placement". A newer override replaces the older one of the same partition and kind."""
        return "boundary" if self.action in _BOUNDARY else "placement"


def present_nodes(current: ClusterMap) -> frozenset[NodeId]:
    """The nodes of the cluster: those that are alive, and those that hold a replica by the map and are expected back."""
    placed = {node for partition in current.partitions for node in partition.replicas}
    return frozenset(placed | set(current.nodes))


class OverrideStore:
    """The overrides of one cluster. Every method raises CoordinatorUnavailable."""

    def __init__(self, coordinator: Coordinator, cluster: str) -> None:
        self._coordinator = coordinator
        root = Keys(cluster).root
        self._overrides, self._adopted = root + b"overrides/", root + b"overrides-adopted"
        self._known: dict[bytes, tuple[int, tuple[Override, ...]]] = {}

    async def load(self) -> tuple[Override, ...]:
        """Reads all overrides, the adopted ones included. An entry that has not changed is not parsed again."""
        entries, _ = await self._coordinator.range(self._overrides[:-1])
        self._known = {entry.key: self._parse(entry) for entry in entries}
        return tuple(override for _, overrides in self._known.values() for override in overrides)

    async def keep(self, overrides: Iterable[Override]) -> None:
        """Writes new overrides."""
        puts = [Put(self._key(override), _dump(override)) for override in overrides]
        for chunk in in_chunks(puts):
            await self._coordinator.txn([], chunk)

    async def adopt(self, partitions: Collection[PartitionId], at_ms: int) -> None:
        """Makes the boundaries of the given partitions overrides, once in the life of a cluster.

        The cluster was created with these boundaries on purpose. Without this, the controller would merge its partitions
        while they are still empty.
        """
        if await self._coordinator.get(self._adopted) is None:
            put = Put(self._adopted, records.dump(at_ms=at_ms, partitions=sorted(partitions)))
            await self._coordinator.txn([RevisionIs(self._adopted, 0)], [put])

    async def forget(self, overrides: Iterable[Override]) -> None:
        """Deletes outdated overrides, at most 100 in one call. A newer override of the same kind stays."""
        for override in list(overrides)[:_FORGOTTEN_AT_ONCE]:
            key = self._key(override)
            entry = await self._coordinator.get(key)
            if entry is not None and override in self._read(entry):
                await self._coordinator.txn([RevisionIs(key, entry.revision)], [Delete(key)])

    def _key(self, override: Override) -> bytes:
        return self._overrides + f"{override.partition:020d}/{override.kind}".encode()

    def _parse(self, entry: Entry) -> tuple[int, tuple[Override, ...]]:
        """The revision of an entry and its overrides."""
        known = self._known.get(entry.key)
        return known if known is not None and known[0] == entry.revision else (entry.revision, tuple(self._read(entry)))

    def _read(self, entry: Entry) -> Iterator[Override]:
        known = records.load(entry.value)
        if entry.key == self._adopted:
            yield from (Override(PartitionId(number), ADOPTED, known["at_ms"]) for number in known["partitions"])
        else:
            number = PartitionId(int(entry.key.removeprefix(self._overrides).partition(b"/")[0]))
            subject = NodeId(known["subject"]) if known["subject"] else None
            yield Override(number, known["action"], known["at_ms"], subject, frozenset(map(NodeId, known["nodes"])))


def _dump(override: Override) -> bytes:
    return records.dump(
        action=override.action, at_ms=override.at_ms, subject=override.subject, nodes=sorted(override.nodes)
    )
