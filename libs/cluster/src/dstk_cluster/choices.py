"""What operators chose for single partitions, so that the controller does not undo it.

Kept apart from the events, of which only the newest are kept: a day's choices must outlive a thousand events.

/dstk/<cluster>/choices/<partition>/<kind>   {"version", "action", "at_ms", "subject", "nodes"}
/dstk/<cluster>/choices-adopted              {"version", "at_ms", "partitions"}: what the first controller found
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dstk_cluster import records
from dstk_cluster.model import ClusterMap
from dstk_cluster.port import Compare, Coordinator, Delete, Entry, Put
from dstk_cluster.records import Keys
from dstk_keytypes import NodeId, PartitionId

ADOPTED: Final = "adopted"
"""The action of choices that nobody is known to have made: what stood there when the first controller looked."""

_BOUNDARY: Final = {"split", "merge", ADOPTED}
_CHUNK: Final = 100
"""etcd takes 128 changes in a transaction."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What an operator did to a partition: `action` as in PlannedStep, with the node `subject`, while `nodes` were there."""

    partition: PartitionId
    action: str
    at_ms: int
    subject: NodeId | None = None
    nodes: frozenset[NodeId] = frozenset()

    @property
    def kind(self) -> str:
        """A later choice replaces an earlier one of its kind: where the partition ends, or where it lies."""
        return "boundary" if self.action in _BOUNDARY else "placement"


def nodes_of(current: ClusterMap) -> frozenset[NodeId]:
    """The nodes that are there: alive, or with a replica in the map, and so expected back."""
    placed = {node for partition in current.partitions for node in partition.replicas}
    return frozenset(placed | set(current.nodes))


class ChoiceStore:
    """The choices of one cluster. Raises CoordinatorUnavailable."""

    def __init__(self, coordinator: Coordinator, cluster: str) -> None:
        self._coordinator = coordinator
        root = Keys(cluster).root
        self._choices, self._adopted = root + b"choices/", root + b"choices-adopted"

    async def load(self) -> tuple[Choice, ...]:
        """All that are kept."""
        entries, _ = await self._coordinator.range(self._choices[:-1])
        return tuple(choice for entry in entries for choice in self._read(entry))

    async def keep(self, choices: Iterable[Choice]) -> None:
        """Remembers what an operator chose just now."""
        puts = [Put(self._key(choice), _dump(choice)) for choice in choices]
        for at in range(0, len(puts), _CHUNK):
            await self._coordinator.txn([], puts[at : at + _CHUNK])

    async def adopt(self, partitions: Collection[PartitionId], at_ms: int) -> None:
        """Once in the life of a cluster: the boundaries that are there count as chosen. Somebody gave the cluster its first
        ones, and a merge of partitions that are empty still would undo that.
        """
        if await self._coordinator.get(self._adopted) is None:
            put = Put(self._adopted, records.dump(at_ms=at_ms, partitions=sorted(partitions)))
            await self._coordinator.txn([Compare(self._adopted, 0)], [put])

    async def forget(self, choices: Iterable[Choice]) -> None:
        """Removes what does not count any more, unless there is a newer choice in its place; some at a time."""
        for choice in list(choices)[:_CHUNK]:
            key = self._key(choice)
            entry = await self._coordinator.get(key)
            if entry is not None and choice in self._read(entry):
                await self._coordinator.txn([Compare(key, entry.revision)], [Delete(key)])

    def _key(self, choice: Choice) -> bytes:
        return self._choices + f"{choice.partition:020d}/{choice.kind}".encode()

    def _read(self, entry: Entry) -> Iterator[Choice]:
        known = records.load(entry.value)
        if entry.key == self._adopted:
            yield from (Choice(PartitionId(number), ADOPTED, known["at_ms"]) for number in known["partitions"])
        else:
            number = PartitionId(int(entry.key.removeprefix(self._choices).partition(b"/")[0]))
            subject = NodeId(known["subject"]) if known["subject"] else None
            yield Choice(number, known["action"], known["at_ms"], subject, frozenset(map(NodeId, known["nodes"])))


def _dump(choice: Choice) -> bytes:
    return records.dump(action=choice.action, at_ms=choice.at_ms, subject=choice.subject, nodes=sorted(choice.nodes))
