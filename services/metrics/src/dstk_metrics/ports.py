"""What the service needs from outside, as protocols."""

from collections.abc import Mapping
from typing import Protocol

from dstk_keytypes import NodeId
from dstk_metrics.domain.book import Taken
from dstk_metrics.domain.report import Report
from dstk_metrics.domain.slices import Slice


class Taker(Protocol):
    """Takes the reports of nodes as they arrive."""

    def take(self, node: NodeId, report: Report) -> Taken:
        """Enters the report at once, and says what became of it."""


class Feeds(Protocol):
    """The feeds of nodes."""

    def ask(self, node: NodeId) -> None:
        """The node is asked for an update now, if it is followed."""

    async def keep(self, addresses: Mapping[NodeId, str]) -> None:
        """Follows these nodes, each at its host:port, and no others."""


class Slices(Protocol):
    """Keeps what all partitions did."""

    async def keep(self, made: Slice) -> None:
        """Keeps a slice. They come about once a minute, one after the other; a slice begins where the last one ended, or later.

        A slice that begins earlier says that the clock was set back by more than ten minutes: what is kept from its beginning
        on came from a wrong clock.
        """
