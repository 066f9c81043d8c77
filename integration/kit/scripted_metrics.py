"""Metrics services with scripted answers, in this process and over real gRPC, as routers and clients find them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dstk.v1 import metrics_pb2
from dstk_cluster.services import ServiceInfo
from dstk_service.transport.grpc_server import GrpcServer
from kit.servers import listening

PAUSE_SECONDS = 0.01
"""Between the messages of a stream."""

UNARY = [
    method.name for method in metrics_pb2.DESCRIPTOR.services_by_name["Metrics"].methods if method.name != "WatchStats"
]


class ScriptedMetrics:
    """A metrics service. `answers`: by method; an exception is raised, "hang" never ends. `asked`: what arrived, in order.

    Its streams carry its `name` as the number of partitions, until `silent` is set or the server is stopped.
    """

    def __init__(self, name: int) -> None:
        self.name = name
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.silent = False
        self.streams = 0
        self.server = GrpcServer("127.0.0.1:0")
        self.address = ""

    @property
    def info(self) -> ServiceInfo:
        """Its registration."""
        return ServiceInfo(str(self.name), self.address, "0")

    async def WatchStats(self, request: Any, context: Any) -> AsyncIterator[metrics_pb2.ClusterStats]:
        """Yields until it is told otherwise."""
        self.asked.append(("WatchStats", request))
        self._raise_if_told("WatchStats")
        self.streams += 1
        try:
            while True:
                if not self.silent:
                    yield metrics_pb2.ClusterStats(partitions=self.name)
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self.streams -= 1

    async def answer(self, method: str, request: Any) -> Any:
        """What a method returns."""
        self.asked.append((method, request))
        if self.answers.get(method) == "hang":
            await asyncio.Event().wait()
        self._raise_if_told(method)
        return self.answers.get(method, getattr(metrics_pb2, f"{method}Response")())

    def _raise_if_told(self, method: str) -> None:
        answer = self.answers.get(method)
        if isinstance(answer, Exception):
            raise answer


def _method(name: str) -> Any:
    async def call(self: ScriptedMetrics, request: Any, _: Any) -> Any:
        return await self.answer(name, request)

    return call


for each in UNARY:
    setattr(ScriptedMetrics, each, _method(each))


async def drained(stream: AsyncIterator[Any]) -> None:
    """Reads a stream until it raises or ends."""
    async for _ in stream:
        pass


@asynccontextmanager
async def scripted_metrics(name: int = 1) -> AsyncIterator[ScriptedMetrics]:
    """One that listens; its `address` is set."""
    made = ScriptedMetrics(name)
    async with listening(made.server, Metrics=made) as made.address:
        yield made
