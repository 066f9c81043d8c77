"""Every RPC of a server, by reflection, so that tests also cover RPCs that are added later."""

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from dstk_service.testing import PATIENCE_SECONDS


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC. `path`: /package.Service/Method."""

    path: str
    client_streams: bool
    server_streams: bool

    async def send(
        self, channel: grpc.aio.Channel, *messages: bytes, seconds: float = PATIENCE_SECONDS
    ) -> grpc.aio.Call:
        """Sends messages as they are and reads what comes, until the call has ended; a stream that waits is cancelled."""
        call = self._open(channel, messages, seconds)
        try:
            if self.server_streams:
                while await call.read() is not grpc.aio.EOF:
                    pass
            else:
                await call
        except grpc.aio.AioRpcError:
            pass  # it is in the call, too
        return call

    def _open(self, channel: grpc.aio.Channel, messages: tuple[bytes, ...], seconds: float) -> Any:
        kinds = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
        make = getattr(channel, kinds[2 * self.client_streams + self.server_streams])(self.path)
        return make(iter(messages) if self.client_streams else messages[0], timeout=seconds)


def methods(address: str) -> list[Method]:
    """All of them; blocks."""
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        services = [pool.FindServiceByName(name) for name in sorted(database.get_services())]
        return [_method(method) for service in services for method in service.methods]


def _method(found: MethodDescriptor) -> Method:
    path = f"/{found.containing_service.full_name}/{found.name}"
    return Method(path, found.client_streaming, found.server_streaming)
