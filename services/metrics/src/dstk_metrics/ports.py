"""What the service needs from outside, as protocols."""

from collections.abc import Mapping
from typing import Protocol

from dstk_keytypes import NodeId
from dstk_metrics.domain.book import Taken
from dstk_metrics.domain.report import Report


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
