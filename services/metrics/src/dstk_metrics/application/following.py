"""Follows the map and the nodes that it names: everything that is known of the partitions comes in here."""

from typing_extensions import override

from dstk_cluster.model import ClusterMap
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId
from dstk_metrics.domain.book import Book, Taken
from dstk_metrics.domain.hot import Heat
from dstk_metrics.domain.pace import Pace
from dstk_metrics.domain.recheck import Recheck
from dstk_metrics.domain.report import Report
from dstk_metrics.ports import Feeds, Taker
from dstk_service.clock import Clock
from dstk_service.service import Background, Part

RECHECK_SECONDS = 1.0


class ReportTaker(Taker):
    """Enters reports into the book, at the time at which they arrive, and says which nodes to ask again soon."""

    def __init__(self, book: Book, heat: Heat, recheck: Recheck, clock: Clock) -> None:
        self._book, self._heat, self._recheck, self._clock = book, heat, recheck, clock

    @override
    def take(self, node: NodeId, report: Report) -> Taken:
        taken = self._book.take(node, report, self._clock.monotonic())
        if taken.begun or self._heat.is_rising(node):
            self._recheck.want(node)
        return taken


class Rechecker(Part):
    """Asks nodes whose next report is wanted soon."""

    name = "recheck"

    def __init__(self, recheck: Recheck, feeds: Feeds, clock: Clock) -> None:
        self._recheck, self._feeds, self._clock = recheck, feeds, clock

    @override
    async def start(self, background: Background) -> None:
        background(self._run())

    async def _run(self) -> None:
        while True:
            self._feeds.ask(self._recheck.due(self._clock.monotonic()))
            await self._clock.sleep(RECHECK_SECONDS)


class MapFollower(Part):
    """Keeps the book and the feeds in step with the map in etcd. Starts once there is a map."""

    name = "map"

    def __init__(self, view: ClusterView, book: Book, feeds: Feeds, pace: Pace) -> None:
        self._view, self._book, self._feeds, self._pace = view, book, feeds, pace

    @override
    async def start(self, background: Background) -> None:
        background(self._view.run())
        self._book.follow(await self._view.ready())
        background(self._follow())

    async def _follow(self) -> None:
        async for current in self._view.maps():
            self._book.follow(current)
            self._pace.follow(len(current.partitions))
            await self._feeds.keep(addresses(current))


def addresses(current: ClusterMap) -> dict[NodeId, str]:
    """host:port of each node that is registered."""
    return {node: info.address for node, info in current.nodes.items()}
