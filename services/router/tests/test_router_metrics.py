"""Metrics calls through the router: passed on to any service that answers, and what the caller hears when none does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kit.scripted_metrics import UNARY, ScriptedMetrics, drained, scripted_metrics
from kit.servers import listening

from dstk.v1 import metrics_pb2, metrics_pb2_grpc
from dstk_cluster.services import ServiceInfo
from dstk_router import metrics_services
from dstk_router.metrics import MetricsServicer
from dstk_router.metrics_services import MetricsServices, metrics_links
from dstk_service.errors import InvalidArgument, NotServing, Overloaded
from dstk_service.status import from_rpc_error
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer

GOOD = {
    "GetSplitPoints": metrics_pb2.GetSplitPointsRequest(pieces=2),
    "GetHistory": metrics_pb2.GetHistoryRequest(figure=metrics_pb2.FIGURE_READS),
}
WRONG = {
    "ListPartitionStats": metrics_pb2.ListPartitionStatsRequest(start=b"b", end=b"a"),
    "ListHotPartitions": metrics_pb2.ListHotPartitionsRequest(by=metrics_pb2.FIGURE_LAG),
    "EstimateRange": metrics_pb2.EstimateRangeRequest(start=b"x" * 1025),
    "GetSplitPoints": metrics_pb2.GetSplitPointsRequest(),
    "GetHistory": metrics_pb2.GetHistoryRequest(),
}


@dataclass
class Listed:
    """The registered services, as a test changes them."""

    services: Sequence[ServiceInfo] = field(default_factory=tuple)


@dataclass
class Passing:
    """Scripted metrics services 1 and 2, and a caller of the router in front of them."""

    services: list[ScriptedMetrics]
    listed: Listed
    stub: metrics_pb2_grpc.MetricsStub

    def asked(self) -> list[int]:
        return [service.name for service in self.services for _ in service.asked]

    async def call(self, method: str, timeout: float = 60.0) -> Any:
        request = GOOD.get(method, getattr(metrics_pb2, f"{method}Request")())
        return await getattr(self.stub, method)(request, timeout=timeout)

    async def estimated(self, timeout: float = 60.0) -> int:
        """The name of the service that answers."""
        return int((await self.call("EstimateRange", timeout)).records)


@asynccontextmanager
async def passing(count: int = 2) -> AsyncIterator[Passing]:
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(scripted_metrics(name + 1)) for name in range(count)]
        for service in services:
            service.answers["EstimateRange"] = metrics_pb2.EstimateRangeResponse(records=service.name)
        listed, links = Listed([service.info for service in services]), metrics_links(GRPC)
        stack.push_async_callback(links.close)
        router = listening(GrpcServer("127.0.0.1:0"), Metrics=MetricsServicer(MetricsServices(listed, links)))
        address = await stack.enter_async_context(router)
        channel = await stack.enter_async_context(GRPC.connect(address))
        yield Passing(services, listed, metrics_pb2_grpc.MetricsStub(channel))


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("method", UNARY)
async def test_a_call_is_passed_on_to_one_service_as_it_is(method: str) -> None:
    async with passing() as made:
        await made.call(method)
        assert made.services[0].asked == [(method, GOOD.get(method, getattr(metrics_pb2, f"{method}Request")()))]
        assert made.services[1].asked == []


@pytest.mark.parametrize("method", UNARY)
async def test_what_is_out_of_bounds_is_refused_here_already(method: str) -> None:
    async with passing() as made:
        error = await failure(getattr(made.stub, method)(WRONG[method]))
        assert isinstance(from_rpc_error(error), InvalidArgument)
        assert made.asked() == []


async def test_the_interval_of_a_stream_is_checked_here_already() -> None:
    async with passing() as made:
        error = await failure(anext(aiter(made.stub.WatchStats(metrics_pb2.WatchStatsRequest(interval_ms=1)))))
        assert isinstance(from_rpc_error(error), InvalidArgument)
        assert made.asked() == []


async def test_a_service_that_is_gone_is_stood_in_for_and_the_one_that_answers_is_kept() -> None:
    async with passing() as made:
        assert await made.estimated() == 1
        await made.services[0].server.stop(0)
        assert await made.estimated() == 2
        assert await made.estimated() == 2


async def test_a_service_that_refuses_for_a_while_is_stood_in_for() -> None:
    async with passing() as made:
        made.services[0].answers["EstimateRange"] = NotServing("there is no partition map yet", 0.1)
        assert await made.estimated() == 2


async def test_a_service_that_hangs_takes_half_of_the_time_and_the_next_one_answers() -> None:
    async with passing() as made:
        made.services[0].answers["EstimateRange"] = "hang"
        assert await made.estimated(timeout=2) == 2


async def test_a_service_that_is_killed_while_it_is_asked_is_stood_in_for() -> None:
    async with passing() as made:
        made.services[0].answers["EstimateRange"] = "hang"
        asking = asyncio.create_task(made.estimated())
        await eventually(lambda: made.asked() == [1])
        await made.services[0].server.stop(0)
        assert await asking == 2


async def test_an_error_of_the_request_is_not_asked_twice() -> None:
    async with passing() as made:
        made.services[0].answers["EstimateRange"] = Overloaded("measurements", 0.5)
        assert isinstance(from_rpc_error(await failure(made.estimated())), Overloaded)
        assert made.asked() == [1]


async def test_the_caller_hears_why_the_last_service_does_not_answer() -> None:
    async with passing() as made:
        for service in made.services:
            service.answers["EstimateRange"] = NotServing(f"node 'storage-{service.name}' does not answer", 0.3)
        error = from_rpc_error(await failure(made.estimated()))
        assert isinstance(error, NotServing)
        assert f"the metrics service at {made.services[1].address}: node 'storage-2' does not answer" in str(error)
        assert made.asked() == [1, 2]


async def test_a_service_that_has_left_is_not_asked_any_more() -> None:
    async with passing() as made:
        made.listed.services = [made.services[1].info]
        assert await made.estimated() == 2
        made.listed.services = [made.services[0].info]
        assert await made.estimated() == 1


@pytest.mark.parametrize("method", [*UNARY, "WatchStats"])
async def test_without_a_service_the_caller_learns_how_to_start_one_and_when_to_ask_again(method: str) -> None:
    async with passing(count=0) as made:
        call = anext(aiter(made.stub.WatchStats(metrics_pb2.WatchStatsRequest()))) if method == "WatchStats" else None
        error = await failure(call or made.call(method))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "no metrics service is registered" in (error.details() or "")
        assert "dstk-metrics" in (error.details() or "")
        status = rpc_status.from_call(error)
        assert status is not None
        assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)


async def test_a_stream_goes_on_at_another_service_when_its_service_is_killed() -> None:
    async with passing() as made:
        stream = aiter(made.stub.WatchStats(metrics_pb2.WatchStatsRequest(interval_ms=1_000)))
        assert (await anext(stream)).partitions == 1
        await made.services[0].server.stop(0)
        async with asyncio.timeout(30):
            while (await anext(stream)).partitions != 2:
                pass
        assert made.services[1].asked == [("WatchStats", metrics_pb2.WatchStatsRequest(interval_ms=1_000))]
        await made.services[1].server.stop(0)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await drained(stream)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_stream_goes_on_when_its_service_stops_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_services, "LATE_SECONDS", 0.2)
    async with passing() as made:
        made.services[0].silent = True
        stream = aiter(made.stub.WatchStats(metrics_pb2.WatchStatsRequest(interval_ms=1_000)))
        assert (await anext(stream)).partitions == 2
        assert made.asked() == [1, 2]


async def test_a_stream_that_its_caller_ends_is_ended_at_the_service() -> None:
    async with passing() as made:
        call = made.stub.WatchStats(metrics_pb2.WatchStatsRequest())
        await anext(aiter(call))
        assert made.services[0].streams == 1
        call.cancel()
        await eventually(lambda: made.services[0].streams == 0)
