"""The feeds of all nodes: a stream of statistics from each, which begins again after whatever breaks it."""

import asyncio
import logging
import random
from collections.abc import Collection, Mapping
from typing import Any, Final

import grpc
from typing_extensions import override

from dstk.v1 import statistics_pb2, statistics_pb2_grpc
from dstk_keytypes import NodeId
from dstk_metrics.adapters.update_reader import UpdateReader
from dstk_metrics.adapters.updates import UpdateRefused
from dstk_metrics.domain.pace import Pace
from dstk_metrics.domain.report import Refusal, Report
from dstk_metrics.events import FeedBroke, FeedTaken, RowsRefused
from dstk_metrics.ports import Feeds, Taker
from dstk_service.backoff import Backoff
from dstk_service.clock import Clock
from dstk_service.errors import InvalidArgument
from dstk_service.logs.fields import LogFields
from dstk_service.observe import Observer
from dstk_service.service import Background, Part
from dstk_service.transport.grpc_connector import end
from dstk_service.transport.port import Connector

log = logging.getLogger(__name__)

BACKOFF: Final = Backoff(first=0.2, longest=5.0)
"""Between attempts to reach a node."""
PATIENCE_INTERVALS = 2.5
PATIENCE_SECONDS = 8.0
"""A feed that brings nothing for so many intervals and so many seconds more is given up."""
SPREAD_SECONDS = 0.05
"""Nodes that are asked together answer over so long for each of them: 1,000 rows take 15 ms, and calls are served between."""
MAX_SAID = 100
"""The most problems of a node that the log tells of."""


class NodeFeed:
    """Follows one node. `ask` has the node send an update at once."""

    def __init__(
        self,
        node: NodeId,
        address: str,
        connector: Connector,
        taker: Taker,
        pace: Pace,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self.node, self.address = node, address
        self._connector, self._taker, self._pace = connector, taker, pace
        self._clock, self._observer = clock, observer
        self._reader = UpdateReader()
        self._asked, self._within = asyncio.Event(), 0.0
        self._said = set[str]()
        self.connected = False
        """Whether the stream is open, and has brought a message."""

    def ask(self, within: float) -> None:
        """Asks the node for an update in so many seconds at most, and for the interval of then from then on."""
        self._within = within
        self._asked.set()

    async def run(self, rng: random.Random) -> None:
        """Follows the node until cancelled."""
        failures = 0
        while True:
            before = self._reader.version
            try:
                await self._follow(rng)
                why = "the node ended the stream"
            except grpc.aio.AioRpcError as error:
                why = f"{error.code().name} {error.details()}"
            except TimeoutError:
                why = "no update arrived in time"
            except (UpdateRefused, InvalidArgument) as error:
                why = str(error)
                self._reader.forget()
            failures = 1 if self._reader.version not in {before, 0} else failures + 1
            self._note(why)
            await self._clock.sleep(BACKOFF.jittered(failures, rng))

    async def _follow(self, rng: random.Random) -> None:
        """One stream, until it ends or breaks."""
        self._reader.begin_stream()
        async with self._connector.connect(self.address) as channel:
            call = statistics_pb2_grpc.StatisticsStub(channel).Watch()
            asking = asyncio.create_task(self._ask(call, rng))
            try:
                while (message := await self._next(call)) is not None:
                    self.connected = True
                    began = self._clock.monotonic()
                    complete = self._reader.add(message)
                    if complete is not None:
                        self._take(*complete, began)
            finally:
                self.connected = False
                asking.cancel()
                await asyncio.wait([asking])
                await end(call)

    async def _ask(self, call: Any, rng: random.Random) -> None:
        """Sends the first request, then one whenever the node is asked. Whoever reads notices that a stream is broken."""
        request = statistics_pb2.WatchStatisticsRequest(session=self._reader.session, version=self._reader.version)
        try:
            while True:
                self._asked.clear()
                request.interval_ms = round(self._pace.seconds * 1000)
                await call.write(request)
                request.Clear()
                await self._asked.wait()
                await self._clock.sleep(rng.uniform(0, self._within))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            log.debug("%s cannot be asked: %s", self.node, error)

    async def _next(self, call: Any) -> Any:
        """The next message; None at the end. Raises TimeoutError when none comes in time."""
        async with self._clock.timeout(PATIENCE_INTERVALS * self._pace.seconds + PATIENCE_SECONDS):
            message = await call.read()
        if message is grpc.aio.EOF:
            return None
        if message is None:
            raise UpdateRefused("a message cannot be decoded")
        return message

    def _take(self, report: Report, refused: Mapping[Refusal, int], began: float) -> None:
        taken = self._taker.take(self.node, report)
        self._observer.observe(FeedTaken(self.node, len(report.rows), self._clock.monotonic() - began))
        for reason, count in [*refused.items(), *taken.refused.items()]:
            self._observer.observe(RowsRefused(self.node, reason, count))
            if self._is_new(reason):
                fields = LogFields(node=self.node, count=count, reason=reason)
                log.warning("%s sent rows that cannot be true; they are left out", self.node, extra=fields)

    def _note(self, why: str) -> None:
        self._observer.observe(FeedBroke(self.node, why))
        if self._is_new(why):
            fields = LogFields(node=self.node, error=why)
            log.warning("the feed of %s broke, and is tried again", self.node, extra=fields)

    def _is_new(self, problem: str) -> bool:
        """Whether the log has not told of the problem yet; observers count every one."""
        new = problem not in self._said and len(self._said) < MAX_SAID
        self._said.add(problem)
        return new


class NodeFeeds(Part, Feeds):
    """A feed for each node, kept in step with the map."""

    name = "feeds"

    def __init__(
        self, connector: Connector, taker: Taker, pace: Pace, clock: Clock, rng: random.Random, observer: Observer
    ) -> None:
        self._connector, self._taker, self._pace = connector, taker, pace
        self._clock, self._rng, self._observer = clock, rng, observer
        self._feeds: dict[NodeId, tuple[NodeFeed, asyncio.Task[None]]] = {}
        pace.on_change(self.ask_all)

    @override
    async def start(self, background: Background) -> None:
        self._background = background

    @override
    def ask(self, nodes: Collection[NodeId]) -> None:
        for node in self._feeds.keys() & set(nodes):
            self._feeds[node][0].ask(SPREAD_SECONDS * len(nodes))

    @property
    def connected(self) -> Mapping[NodeId, bool]:
        """The nodes that are followed, and whether the stream of each is open."""
        return {node: feed.connected for node, (feed, _) in self._feeds.items()}

    def ask_all(self) -> None:
        """Asks all nodes for an update soon."""
        self.ask(self._feeds.keys())

    @override
    async def keep(self, addresses: Mapping[NodeId, str]) -> None:
        for node, (feed, _) in list(self._feeds.items()):
            if addresses.get(node) != feed.address:
                await self._drop(node)
        for node in addresses.keys() - self._feeds.keys():
            feed = NodeFeed(
                node, addresses[node], self._connector, self._taker, self._pace, self._clock, self._observer
            )
            self._feeds[node] = feed, self._background(feed.run(self._rng))

    @override
    async def close(self) -> None:
        for node in list(self._feeds):
            await self._drop(node)

    async def _drop(self, node: NodeId) -> None:
        _, task = self._feeds.pop(node)
        task.cancel()
        await asyncio.wait([task])
