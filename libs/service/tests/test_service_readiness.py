"""gRPC health of one service follows its readiness; that of the others says whether the server serves."""

import asyncio

from grpc_health.v1 import health_pb2, health_pb2_grpc
from kit.servers import REGISTER, EmptyAdmin

from dstk.v1 import kv_pb2_grpc
from dstk_service.readiness import ReadinessHealth
from dstk_service.service import Listener, Service
from dstk_service.testing import ManualClock, eventually
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer

KV, ADMIN = "dstk.v1.KeyValue", "dstk.v1.Admin"
Health = health_pb2.HealthCheckResponse


class Running:
    """A service whose readiness the test sets."""

    def __init__(self) -> None:
        server = GrpcServer("127.0.0.1:0")
        for name, servicer in (("KeyValue", kv_pb2_grpc.KeyValueServicer()), ("Admin", EmptyAdmin())):
            server.add(REGISTER[name], servicer, f"dstk.v1.{name}")
        self.clock, self.disk = ManualClock(), ""
        self.listener = Listener(server, 1.0)
        health = ReadinessHealth(server, KV, self.readiness, self.clock)
        self.service = Service([self.listener, health])

    def readiness(self) -> dict[str, str]:
        return {"serving": self.listener.obstacle, "disk": self.disk}

    async def ask(self) -> tuple[int, int]:
        """The health of KeyValue and of Admin."""
        async with GRPC.connect(self.listener.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answers = [await stub.Check(health_pb2.HealthCheckRequest(service=name)) for name in (KV, ADMIN)]
        return answers[0].status, answers[1].status

    async def has(self, *expected: int) -> None:
        async def holds() -> bool:
            await self.clock.advance(1)
            return await self.ask() == expected

        await eventually(holds)


async def test_health_follows_readiness() -> None:
    running, stop = Running(), asyncio.Event()
    assert running.readiness()["serving"] == "the service is starting"
    task = asyncio.create_task(running.service.run(stop))
    await eventually(lambda: running.listener.address and not running.listener.obstacle)
    await running.has(Health.SERVING, Health.SERVING)
    running.disk = "full"
    await running.has(Health.NOT_SERVING, Health.SERVING)
    running.disk = ""
    await running.has(Health.SERVING, Health.SERVING)
    stop.set()
    await task
    assert running.readiness()["serving"] == "the service is stopping"
