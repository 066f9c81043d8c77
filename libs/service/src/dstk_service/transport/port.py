"""The transport as a port: `connect` returns a narrow channel, `listen` a server that takes handlers."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Protocol, Self

from dstk_service.answers import Answers
from dstk_service.drain import Drain
from dstk_service.observe import NULL, Observer
from dstk_service.trace import NEVER, Sampler
from dstk_service.transport.credentials import Credentials, Metadata, NodeCredentials, OperatorCredentials


class Profile(Enum):
    """What a channel is for. Each adapter has its own options for each."""

    CALLS = auto()
    """Calls of clients, operators and routers."""

    PEERS = auto()
    """Replication. Reconnects to a node that is back within 0.2 s, which is shorter than a lease."""

    WATCH = auto()
    """A stream that may stay silent for long: fails 0.8 s after the server's process or machine has stopped."""

    ETCD = auto()
    """etcd, which closes the connection of a client that sends pings while no call is in progress."""

    DEFAULT = auto()
    """The library's own defaults, as a client in another language has them."""


class Channel(Protocol):
    """Calls to one address. It connects at the first call and reconnects by itself. Generated stubs accept it.

    Each of the four methods returns a callable for one RPC with the interface of grpc.aio: it takes `timeout` (seconds) and
    `metadata`, and returns a call to await, to iterate, or to `read` and `write`. Failed calls raise grpc.aio.AioRpcError. The
    channel's credentials are part of each call.
    """

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """One request, one response."""

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """One request, a stream of responses."""

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """A stream of requests, one response."""

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """A stream both ways."""

    async def connected(self) -> bool:
        """Returns True when the channel is connected, False when an attempt to connect fails or the channel is closed."""

    async def close(self) -> None:
        """Cancels the calls in progress and closes the connection."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...


class Connector(Protocol):
    """The half of the transport that a client needs."""

    def connect(
        self,
        address: str,
        profile: Profile = Profile.CALLS,
        credentials: Credentials | None = None,
        metadata: Metadata = (),
    ) -> Channel:
        """A new channel to host:port, which never passes through a proxy. `credentials` and `metadata` go with every call.

        Raises InvalidArgument for an address that is not host:port, WrongContext in the forked child of a process that has
        connected.
        """


class Server(Protocol):
    """A server. Add servicers, then start it. It reports NOT_SERVING until `set_serving`."""

    drain: Drain
    """For servicers that read streams themselves."""

    answers: Answers
    """For servicers with large answers."""

    def add(self, register: Callable[[Any, Any], None], servicer: object, name: str) -> None:
        """Adds a servicer by its generated `add_…_to_server`; `name` is its full name, such as "dstk.v1.KeyValue"."""

    async def start(self) -> str:
        """Starts to listen and returns the bound host:port. Raises OSError when the address cannot be bound."""

    async def set_serving(self, *, serving: bool, name: str | None = None) -> None:
        """Sets the health of the service with this full name; None: of all services, and of the server."""

    async def stop(self, grace: float) -> None:
        """Reports NOT_SERVING, refuses new calls, ends streams, gives calls in progress `grace` seconds, then cancels them."""


class Transport(Connector, Protocol):
    """Both halves, for a service."""

    def listen(
        self,
        address: str,
        *,
        operator: OperatorCredentials | None = None,
        node: NodeCredentials | None = None,
        observer: Observer = NULL,
        sampler: Sampler = NEVER,
        shared_port: bool = False,
    ) -> Server:
        """A server for host:port; port 0: any free one.

        `operator`: what callers of Admin must show; None: they must be on this machine. `node`: what callers of Replication
        must show; None: all are refused. `observer` is told of every call when it ends. `sampler` decides which calls without a
        trace context begin a trace. `shared_port`: other processes may
        listen on the same port, and the kernel spreads connections over them.
        """
