"""Asks a server whether it serves: by the standard gRPC health protocol, or a program that watches the cluster by HTTP."""

import asyncio
import http.client
import time
from dataclasses import replace
from urllib.parse import urlsplit

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from dstk_localcluster.state import ClusterState, Phase, ProcessState
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Channel, Profile

_POLL_S = 0.05
_CALL_S = 1.0
_RECONNECTS_FAST: list[tuple[str, int | str]] = [("grpc.max_reconnect_backoff_ms", 100)]
"""A process that starts refuses connections at first."""


async def until_serving(address: str) -> None:
    """Waits until the server at `address` reports SERVING, without a deadline of its own."""
    async with GRPC.connect(address, Profile.PEERS) as channel:
        while not await _serving(channel):
            await asyncio.sleep(_POLL_S)


async def until_probed(probe: str) -> None:
    """Waits until the URL answers 200, without a deadline of its own."""
    while not await is_probed(probe):
        await asyncio.sleep(_POLL_S)


async def is_probed(probe: str) -> bool:
    """Returns whether the URL answers 200 within a second."""
    return await asyncio.to_thread(_answers, probe)


async def is_serving(address: str) -> bool:
    """Returns whether the server answers SERVING within a second."""
    async with GRPC.connect(address) as channel:
        return await _serving(channel)


async def checked(running: ClusterState) -> ClusterState:
    """Asks every process that serves by its supervisor, and returns the state with those that do not say so as SILENT."""
    return running.with_processes(tuple(await asyncio.gather(*map(_checked, running.processes))))


async def _checked(process: ProcessState) -> ProcessState:
    if process.phase is not Phase.SERVING or await _answers_for_itself(process):
        return process
    return replace(process, phase=Phase.SILENT, reason="it runs, but does not report that it serves", since=time.time())


async def _answers_for_itself(process: ProcessState) -> bool:
    return await (is_probed(process.probe) if process.probe else is_serving(process.address))


def _answers(probe: str) -> bool:
    """Asks without a proxy: proxies of the caller's environment are for other places than the loopback address."""
    url = urlsplit(probe)
    connection = http.client.HTTPConnection(url.netloc, timeout=_CALL_S)
    try:
        connection.request("GET", url.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


async def _serving(channel: Channel) -> bool:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    try:
        answer: HealthCheckResponse = await check(HealthCheckRequest(), timeout=_CALL_S)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == HealthCheckResponse.SERVING)
