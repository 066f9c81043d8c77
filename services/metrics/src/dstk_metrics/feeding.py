"""Puts together what follows the nodes, and what answers from what they say."""

import random

from dstk_cluster.view import ClusterView
from dstk_metrics.adapters.node_feeds import NodeFeeds
from dstk_metrics.application.counts import Counts
from dstk_metrics.application.following import MapFollower, Rechecker, ReportTaker
from dstk_metrics.application.hot import HeatFollower, HotLists
from dstk_metrics.application.keeping import HistoryKeeper
from dstk_metrics.application.slicing import Slicer
from dstk_metrics.application.stats import STALE_INTERVALS, PartitionLists, TotalsStreams
from dstk_metrics.domain.book import Book
from dstk_metrics.domain.hot import Heat
from dstk_metrics.domain.pace import Pace
from dstk_metrics.domain.recheck import Recheck
from dstk_service.clock import Clock
from dstk_service.observe import Observer
from dstk_service.service import Part
from dstk_service.transport.port import Connector


class Feeding:
    """The feeds of all nodes, the book that they fill, and its readers. `feed_seconds`: between two updates of a node."""

    def __init__(
        self, feed_seconds: float, connector: Connector, clock: Clock, rng: random.Random, observer: Observer
    ) -> None:
        self.book, self.pace, self.stale_after_s = Book(), Pace(feed_seconds), STALE_INTERVALS * feed_seconds
        self._heat, self._recheck, self._clock = Heat(self.book, self.stale_after_s), Recheck(), clock
        taker = ReportTaker(self.book, self._heat, self._recheck, clock)
        self.feeds = NodeFeeds(connector, taker, self.pace, clock, rng, observer)
        self.lists = PartitionLists(self.book, clock, self.stale_after_s)
        self.hot = HotLists(self.book, self._heat, clock, self.pace, self.stale_after_s)
        self.counts = Counts(self.book, clock, self.stale_after_s)
        self.streams = TotalsStreams(self.book, clock, self.pace, self.stale_after_s)

    def followers(self, view: ClusterView, keeper: HistoryKeeper) -> list[Part]:
        """What follows the map, and hands a slice of each minute to the history. `feeds` start before, since they are told of
        nodes.
        """
        return [
            MapFollower(view, self.book, self.feeds, self.pace),
            HeatFollower(self._heat, self._clock),
            Rechecker(self._recheck, self.feeds, self._clock),
            Slicer(self.book, keeper, self._clock, self.stale_after_s),
        ]
