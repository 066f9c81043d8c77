"""Metrics calls of the commands, through a router."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dstk_cli.connection import Target
from dstk_cli.diagnosis import refuse_node, told_apart
from dstk_cli.errors import CliError
from dstk_client.metrics import MetricsClient
from dstk_service.errors import NotServing
from dstk_service.transport.grpc_connector import GRPC

OBSERVE_TIMEOUT = 30.0
"""Seconds for a call: a large range takes a while to measure."""

HINT = (
    "`dstk local status` shows whether a metrics service serves; a node that does not answer is found by `dstk doctor`"
)


@asynccontextmanager
async def reach(target: Target) -> AsyncIterator[MetricsClient]:
    """The metrics service behind a router. Raises CliError."""
    try:
        async with told_apart(target.router), GRPC.connect(target.router) as channel:
            await refuse_node(channel, target.router)
            yield MetricsClient(channel, f"the router at {target.router}", target.timeout)
    except NotServing as error:
        raise CliError(str(error), HINT) from error
