"""Server reflection under both of its names. New clients ask for grpc.reflection.v1 first, and some ask only for it; the
installed package has v1alpha, whose messages are the same on the wire.
"""

from collections.abc import Iterable

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

V1 = "grpc.reflection.v1.ServerReflection"
V1ALPHA = str(reflection.SERVICE_NAME)
_METHOD = "ServerReflectionInfo"


class _Servicer(reflection.aio.ReflectionServicer):
    """Also finds methods by name, for `grpcurl describe dstk.v1.KeyValue.Put`: the pool's look-up of symbols does not."""

    def _file_containing_symbol(
        self, request: reflection_pb2.ServerReflectionRequest, fully_qualified_name: str
    ) -> reflection_pb2.ServerReflectionResponse:
        return super()._file_containing_symbol(request, _holder(fully_qualified_name))


def _holder(symbol: str) -> str:
    """The service of a method; any other symbol unchanged."""
    try:
        return str(descriptor_pool.Default().FindMethodByName(symbol).containing_service.full_name)
    except KeyError:
        return symbol


def enable(names: Iterable[str], server: grpc.aio.Server) -> None:
    """Lets callers find the services of these full names, and reflection itself."""
    _describe_v1()
    servicer = _Servicer([*names, V1, V1ALPHA])
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(V1, {_METHOD: handler}),))


def _describe_v1() -> None:
    """Adds v1, a copy of v1alpha under another name, to the descriptor pool. Adding the same file twice changes nothing."""
    old = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(old)
    renamed = text_format.MessageToString(old).replace("reflection.v1alpha", "reflection.v1")
    new = text_format.Parse(renamed, descriptor_pb2.FileDescriptorProto())
    new.name = "grpc/reflection/v1/reflection.proto"
    descriptor_pool.Default().AddSerializedFile(new.SerializeToString())
