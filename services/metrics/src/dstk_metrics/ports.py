"""What the service needs from outside, as protocols."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol, TypeVar

from dstk_cluster.model import NodeInfo
from dstk_keytypes import NodeId, PartitionId
from dstk_metrics.domain.book import Taken
from dstk_metrics.domain.buckets import Run, Table
from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import SlotKey
from dstk_metrics.domain.report import Report
from dstk_metrics.domain.slices import Slice

T = TypeVar("T")


class Taker(Protocol):
    """Takes the reports of nodes as they arrive."""

    def take(self, node: NodeId, report: Report) -> Taken:
        """Enters the report at once, and says what became of it."""


class Feeds(Protocol):
    """The feeds of nodes."""

    def ask(self, nodes: Collection[NodeId]) -> None:
        """Asks those of the nodes that are followed for an update: a few of them now, many of them spread over some seconds."""

    async def keep(self, addresses: Mapping[NodeId, str]) -> None:
        """Follows these nodes, each at its host:port, and no others."""


class Slices(Protocol):
    """Keeps what all partitions did."""

    async def keep(self, made: Slice) -> None:
        """Keeps a slice. They come about once a minute, one after the other; a slice begins where the last one ended, or later.

        A slice that begins earlier says that the clock was set back by more than ten minutes: what is kept from its beginning
        on came from a wrong clock.
        """


class HistoryUnavailable(Exception):
    """The history cannot be read or written now, and nothing was changed: a full disk, for example. Later it may be."""


class HistoryLost(Exception):
    """The stored history was damaged. It is kept aside, and an empty one has begun: try again."""


class HistoryRefused(OSError):
    """The service cannot use its data directory; the message says why and what to do."""


class HistoryStore(Protocol):
    """Slots on disk. All calls block, and come from one thread. Reading and writing raises HistoryUnavailable and HistoryLost.

    The store holds at most so many bytes as it was given; it drops slots in the order of tiers.oldest_first for that.
    """

    def open(self) -> None:
        """Takes the store for this process alone. Raises HistoryRefused."""

    def stored(self) -> Collection[SlotKey]:
        """Returns all slots that are stored. Also raises HistoryRefused, for a format that this program does not know."""

    def read(self, keys: Collection[SlotKey]) -> Mapping[SlotKey, Slot]:
        """Returns slots with all figures of HISTORY. A slot that is damaged is dropped, and missing in the answer."""

    def read_figure(self, keys: Collection[SlotKey], figure: Figure) -> Mapping[SlotKey, Slot]:
        """Returns slots with one figure. Slots with the same ranges have the same object as `starts`."""

    def write(self, put: Mapping[SlotKey, Slot], removed: Collection[SlotKey]) -> None:
        """Removes slots and stores others, both or neither. A key is told by `written`: what is put replaces what has it."""

    def size_bytes(self) -> int:
        """Returns how many bytes the history takes. Raises nothing, and may be called from any thread."""

    def close(self) -> None:
        """Writes out what is buffered and gives up the store."""


class Offload(Protocol):
    """Runs blocking calls off the event loop, one at a time, in the order in which they were made."""

    async def __call__(self, call: Callable[[], T], /) -> T:
        """Returns what the call returns, or raises what it raises."""


class Measuring(Protocol):
    """Asks nodes what ranges have."""

    async def measure(self, node: NodeInfo, partition: PartitionId, run: Run) -> Table:
        """The part of the run that lies in the partition, from its start on. Raises DstkError: NotOwner when the node does not
        lead the partition any more, Overloaded when it measures for others, NotServing when it does not answer.
        """
