"""Asks a server by the standard gRPC health protocol whether it serves."""

from functools import partial

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from dstk_cli.waiting import until
from dstk_service.channels import open_channel

_POLL_S = 0.05
_CALL_S = 1.0


async def until_serving(address: str) -> None:
    """Returns once the server at `address` reports SERVING; for ever otherwise: the caller sets the deadline."""
    async with open_channel(address) as channel:
        await until(partial(_serving, channel), _POLL_S)


async def is_serving(address: str) -> bool:
    """Whether the server answers SERVING within a second."""
    async with open_channel(address) as channel:
        return await _serving(channel)


async def _serving(channel: grpc.aio.Channel) -> bool:
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
