"""An HTTP server inside a service: Starlette and uvicorn, on connections that callers cannot keep for ever."""

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from dstk_service.addresses import split
from dstk_service.logs.fields import LogFields
from dstk_service.service import Background, Part
from dstk_telemetry.connections import HEADER_BYTES, SEND_BYTES, CuttableConnection

log = logging.getLogger(__name__)


class HttpServer(Part):
    """Serves `application` at host:port. `option`: the setting that names the address, for the error when it is taken.
    `headers`: sent with every answer.
    """

    def __init__(
        self,
        listen: str,
        application: ASGIApp,
        connection: type[CuttableConnection],
        *,
        option: str,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._listen, self._option = listen, option
        self._server = _Embedded(
            uvicorn.Config(
                application,
                log_config=None,
                log_level=logging.ERROR,  # callers that send nonsense must not fill the log
                access_log=False,
                lifespan="off",
                http=connection,
                h11_max_incomplete_event_size=HEADER_BYTES,
                ws="none",
                backlog=connection.most,
                headers=list(headers),
                server_header=False,
            )
        )
        self._serving: asyncio.Task[None] | None = None
        self.address = ""
        """host:port, once it has started."""

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.server_state.connections)

    @override
    async def start(self, background: Background) -> None:
        listener = self._listener()
        host = self._listen.rpartition(":")[0]
        self.address = f"{host}:{listener.getsockname()[1]}"
        self._serving = asyncio.create_task(self._server.serve([listener]))
        log.info("%s server listening", self.name, extra=LogFields(address=self.address))

    @override
    async def close(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        if self._serving is not None:
            await self._serving

    def _listener(self) -> socket.socket:
        host, port = split(self._listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        is_dual = host == "::" and socket.has_dualstack_ipv6()  # as gRPC does
        try:
            made = socket.create_server((host, int(port)), family=family, dualstack_ipv6=is_dual)
        except OSError as error:
            why = f"the {self.name} server cannot listen on {self._listen!r}: {error}"
            raise OSError(f"{why}. Give another address as {self._option}, or off") from error
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)  # connections inherit it
        return made


class _Embedded(uvicorn.Server):
    """A server inside a process that handles signals itself."""

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield
