"""As much of grpcurl as the README shows, for machines without it:
`-plaintext [-d JSON] ADDRESS list | describe METHOD | SERVICE/METHOD`.

It knows nothing of our protos: as grpcurl does, it asks reflection, version 1.
"""

import argparse
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2

REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


class Server:
    """A server's description of itself, by reflection."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._pool = descriptor_pool.DescriptorPool()

    def ask(self, **question: str) -> reflection_pb2.ServerReflectionResponse:
        call = self._channel.stream_stream(
            REFLECTION,
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        (answer,) = call(iter([reflection_pb2.ServerReflectionRequest(**question)]))
        return answer

    def services(self) -> list[str]:
        return sorted(each.name for each in self.ask(list_services="").list_services_response.service)

    def learn(self, symbol: str) -> None:
        found = self.ask(file_containing_symbol=symbol)
        if found.HasField("error_response"):
            sys.exit(f"symbol not found: {symbol}")
        files = map(descriptor_pb2.FileDescriptorProto.FromString, found.file_descriptor_response.file_descriptor_proto)
        waiting = {file.name: file for file in files}
        while waiting:
            ready = next(file for file in waiting.values() if not set(file.dependency) & set(waiting))
            self._pool.AddSerializedFile(waiting.pop(ready.name).SerializeToString())

    def describe(self, method: str) -> str:
        self.learn(method)
        found = self._pool.FindMethodByName(method)
        return (
            f"{method} is a method:\n"
            f"rpc {found.name} ( .{found.input_type.full_name} ) returns ( .{found.output_type.full_name} );"
        )

    def call(self, path: str, body: str) -> str:
        service, _, name = path.partition("/")
        self.learn(service)
        method = self._pool.FindServiceByName(service).methods_by_name[name]
        request = json_format.Parse(body, message_factory.GetMessageClass(method.input_type)())
        unary = self._channel.unary_unary(
            f"/{path}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        try:
            answer = unary(request, timeout=10)
        except grpc.RpcError as error:
            sys.exit(f"ERROR:\n  Code: {error.code().name}\n  Message: {error.details()}")
        return json_format.MessageToJson(answer)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-d", default="{}")
    parser.add_argument("address")
    parser.add_argument("words", nargs="+")
    options = parser.parse_args()
    with grpc.insecure_channel(options.address) as channel:
        server = Server(channel)
        match options.words:
            case ["list"]:
                print("\n".join(server.services()))
            case ["describe", name]:
                print(server.describe(name))
            case [method]:
                print(server.call(method, options.d))


if __name__ == "__main__":
    main()
