"""A router's services for operators as a test scripts them, over real gRPC, on threads beside commands' event loops."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from dstk.v1 import admin_pb2, metrics_pb2, topology_pb2
from dstk_service.errors import DstkError
from dstk_service.status import to_status
from kit import statuses
from kit.servers import REGISTER

_SERVICES = {"Admin": admin_pb2, "Topology": topology_pb2, "Metrics": metrics_pb2}
_METHODS = {
    method.name: method for name, file in _SERVICES.items() for method in file.DESCRIPTOR.services_by_name[name].methods
}


class ScriptedAdmin:
    """A router's Admin, Topology and Metrics services as a test tells them, over real gRPC.

    `answers`: by method, each call takes the next one and the last one for ever; an exception is raised, what can be called
    is asked with the request. A stream sends all of its answers and ends. `asked`: the changes that arrived, and the ranges
    that were to be measured, as (method, request).
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.metadata: dict[str, Any] = {}
        self.address = ""

    def reply(self, method: str, request: Any, context: Any) -> Any:
        if not method.startswith(("List", "Get", "Watch")):
            self.asked.append((method, request))
        self.metadata = dict(context.invocation_metadata())
        script = self.answers.get(method)
        if script is None:
            return GetMessageClass(_METHODS[method].output_type)()
        answer = script.pop(0) if len(script) > 1 else script[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            assert isinstance(answer, DstkError)
            context.abort_with_status(rpc_status.to_status(to_status(answer)))
        return answer

    def shows(
        self, *entries: topology_pb2.Partition, nodes: Sequence[admin_pb2.NodeStatus] = (), **settings: Any
    ) -> None:
        """A cluster in which everybody answers and every replica in sync stands at write 100 of epoch 5."""
        self.answers["Watch"] = [topology_pb2.TopologyUpdate(full=True, partitions=entries)]
        figures = [statuses.figures(entry) for entry in entries]
        self.answers["ListPartitions"] = [admin_pb2.ListPartitionsResponse(partitions=figures)]
        self.answers["ListReplicas"] = [
            admin_pb2.ListReplicasResponse(
                replicas=[statuses.replica(entry, name) for entry in entries for name in entry.replicas]
            )
        ]
        named = sorted({name for entry in entries for name in entry.replicas})
        self.answers["ListNodes"] = [admin_pb2.ListNodesResponse(nodes=nodes or list(map(statuses.node, named)))]
        chosen = admin_pb2.ControllerSettings(**{"replicas": 3, "gone_seconds": 30, "compare_hours": 24, **settings})
        self.answers["GetController"] = [admin_pb2.GetControllerResponse(leader="storage-1", settings=chosen)]


@contextmanager
def scripted_admin() -> Iterator[ScriptedAdmin]:
    """A scripted router on a port of its own; its `address` is set."""
    router = ScriptedAdmin()
    server = grpc.server(ThreadPoolExecutor(8))
    for name, file in _SERVICES.items():
        methods = file.DESCRIPTOR.services_by_name[name].methods
        REGISTER[name](SimpleNamespace(**{method.name: _method(router, method.name) for method in methods}), server)
    alive = health.HealthServicer()
    alive.set("dstk.v1.KeyValue", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(alive, server)
    router.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield router
    finally:
        server.stop(0).wait()


def _method(router: ScriptedAdmin, name: str) -> Any:
    def call(request: Any, context: Any) -> Any:
        return router.reply(name, request, context)

    def stream(request: Any, context: Any) -> Any:
        for _ in range(len(router.answers.get(name, [None]))):
            yield router.reply(name, request, context)

    return stream if _METHODS[name].server_streaming else call
