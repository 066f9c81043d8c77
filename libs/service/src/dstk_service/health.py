"""`dstk-health [ADDRESS]`: asks a service whether it serves, for health checks of containers, which have no tool for gRPC.

Exit codes: 0 it serves; 1 it does not, or does not answer (the reason is printed); 2 the command line is wrong.
"""

import argparse
import os
import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dstk_service.addresses import local

LISTEN_VARIABLE = "DSTK_LISTEN"
"""In the container of a service it says where the service listens."""


def main(argv: Sequence[str] | None = None) -> int:
    """See the module. Returns the exit code, and exits by itself with 2 when the command line is wrong."""
    options = _parser().parse_args(argv)
    if not options.address:
        _parser().error(f"no address: give HOST:PORT, or set {LISTEN_VARIABLE}")
    address = local(options.address)
    answer = ask(address, options.service, options.timeout)
    print(f"{address}: {answer}")  # noqa: T201 - docker inspect shows it
    return 0 if answer == "SERVING" else 1


def ask(address: str, service: str, seconds: float) -> str:
    """The health of a service at host:port, as gRPC names it, or why there was no answer within `seconds`."""
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=seconds)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dstk-health", description="Ask a service whether it serves. Exits with 0 if so."
    )
    parser.add_argument(
        "address",
        nargs="?",
        default=os.environ.get(LISTEN_VARIABLE, ""),
        help=f"HOST:PORT; unless given, where {LISTEN_VARIABLE} says that the service listens",
    )
    parser.add_argument("--service", default="", help="such as dstk.v1.KeyValue; unless given, all of them")
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS", help="how long to wait (2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
