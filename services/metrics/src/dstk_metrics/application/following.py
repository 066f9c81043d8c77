"""Follows the map and the nodes that it names: everything that is known of the partitions comes in here."""

from typing_extensions import override

from dstk_cluster.model import ClusterMap
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId
from dstk_metrics.domain.book import Book, Taken
from dstk_metrics.domain.report import Report
from dstk_metrics.ports import Feeds, Taker
from dstk_service.clock import Clock
from dstk_service.service import Background, Part


class ReportTaker(Taker):
    """Enters reports into the book, at the time at which they arrive."""

    def __init__(self, book: Book, clock: Clock) -> None:
        self._book, self._clock = book, clock

    @override
    def take(self, node: NodeId, report: Report) -> Taken:
        return self._book.take(node, report, self._clock.monotonic())


class MapFollower(Part):
    """Keeps the book and the feeds in step with the map in etcd. Starts once there is a map."""

    name = "map"

    def __init__(self, view: ClusterView, book: Book, feeds: Feeds) -> None:
        self._view, self._book, self._feeds = view, book, feeds

    @override
    async def start(self, background: Background) -> None:
        background(self._view.run())
        self._book.follow(await self._view.ready())
        background(self._follow())

    async def _follow(self) -> None:
        async for current in self._view.maps():
            self._book.follow(current)
            await self._feeds.keep(addresses(current))


def addresses(current: ClusterMap) -> dict[NodeId, str]:
    """host:port of each node that is registered."""
    return {node: info.address for node, info in current.nodes.items()}
