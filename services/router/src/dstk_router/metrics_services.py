"""The metrics services that a router passes calls on to: one is preferred, and the others stand in for it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from dstk.v1 import metrics_pb2, metrics_pb2_grpc
from dstk_client.links import Links
from dstk_client.metrics import MetricsClient
from dstk_cluster.services import ServiceInfo
from dstk_service.errors import DeadlineExceeded, NotServing
from dstk_service.transport.port import Channel, Connector, Profile

T = TypeVar("T")

MetricsMethod = Callable[[metrics_pb2_grpc.MetricsStub], Callable[..., Awaitable[T]]]
"""Selects a method of Metrics."""

SILENT = (NotServing, DeadlineExceeded)
"""Errors of a service that has not answered; another one may."""

LATE_SECONDS = 5.0
"""By how much a message of a stream may be late, and how long a connection may take, before another service is asked."""

RESUME_SECONDS = 0.1
"""The pause before a stream that broke goes on at another service."""

RETRY_SECONDS = 1.0


class Directory(Protocol):
    """The services that are registered."""

    @property
    def services(self) -> Sequence[ServiceInfo]:
        """All of them, in a fixed order."""


class _Undecoded:
    """As much of a channel as a stub needs. It leaves the answers of unary calls as bytes, which the router's server sends as
    they are: to decode and encode a large one would hold up all other calls of the router for 25 to 70 ms.
    """

    def __init__(self, channel: Channel) -> None:
        self.unary_stream = channel.unary_stream
        self._channel = channel

    def unary_unary(self, method: str, **options: Any) -> Any:
        """One request, the bytes of one response."""
        return self._channel.unary_unary(method, **{**options, "response_deserializer": None})


def metrics_links(connector: Connector) -> Links[MetricsClient]:
    """Links that notice within a second that the machine or the process of a service has stopped."""

    def client(channel: Channel, name: str) -> MetricsClient:
        stub = metrics_pb2_grpc.MetricsStub(_Undecoded(channel))
        return MetricsClient(channel, name, LATE_SECONDS, one_of_many=True, stub=stub)

    return Links(connector, client, profile=Profile.WATCH)


class MetricsServices:
    """Asks the service that answered last, so that figures do not jump between services; when it is silent, the next one."""

    def __init__(self, directory: Directory, links: Links[MetricsClient]) -> None:
        self._directory, self._links = directory, links
        self._preferred = ""
        """The address of the service that answered last."""

    async def read(self, method: MetricsMethod[T], request: Message, seconds: float) -> T:
        """Makes a call. Of the time that is left, every service but the last one gets half. Raises DstkError: that of the
        service, or NotServing when none answers or none is registered.
        """
        now = asyncio.get_running_loop().time
        until, asked = now() + seconds, set[str]()
        problem: NotServing | DeadlineExceeded = _none_registered()
        while (found := await self._next(asked)) is not None:
            address, others = found
            left = until - now()
            try:
                answer = await self._link(address).read(method, request, left / 2 if others else left)
            except SILENT as error:
                problem = error
            else:
                self._preferred = address
                return answer
            asked.add(address)
        raise problem

    async def watch(self, interval_ms: int) -> AsyncGenerator[metrics_pb2.ClusterStats, None]:
        """Yields the totals; goes on at another service when one stops answering. Raises as `read` does when none is left."""
        asked = set[str]()
        problem: NotServing | DeadlineExceeded = _none_registered()
        while (found := await self._next(asked)) is not None:
            address, _ = found
            try:
                async with aclosing(self._link(address).watch(interval_ms)) as stream:
                    async for stats in stream:
                        self._preferred = address
                        asked.clear()
                        yield stats
            except SILENT as error:
                problem = error
            asked.add(address)
            await asyncio.sleep(RESUME_SECONDS)
        raise problem

    async def _next(self, asked: set[str]) -> tuple[str, bool] | None:
        """The address of the next service to ask, and whether there are more; None: all were asked."""
        addresses = [info.address for info in self._directory.services]
        await self._links.keep(addresses)
        left = sorted(
            (address for address in addresses if address not in asked), key=lambda each: each != self._preferred
        )
        return (left[0], len(left) > 1) if left else None

    def _link(self, address: str) -> MetricsClient:
        return self._links.to(f"the metrics service at {address}", address)


def _none_registered() -> NotServing:
    return NotServing(
        "no metrics service is registered in etcd: start one with `dstk-metrics`, with the same --etcd and --cluster as the "
        "other services; `dstk local up` starts one by itself",
        RETRY_SECONDS,
    )
