"""Clients of many servers: one for each name and address, for as long as there is that address."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from dstk_client.unary_calls import UnaryCalls
from dstk_service.transport.credentials import Credentials, Metadata
from dstk_service.transport.port import Channel, Connector, Profile

C = TypeVar("C", bound=UnaryCalls[Any])


class Links(Generic[C]):
    """Clients by name and address, connected at the first call. `client` makes one of a channel and a name; `credentials` and
    `metadata` go with every call.
    """

    def __init__(
        self,
        connector: Connector,
        client: Callable[[Channel, str], C],
        *,
        profile: Profile = Profile.CALLS,
        credentials: Credentials | None = None,
        metadata: Metadata = (),
    ) -> None:
        self._connector, self._client, self._profile = connector, client, profile
        self._credentials, self._metadata = credentials, metadata
        self._links: dict[tuple[str, str], C] = {}

    def to(self, name: str, address: str) -> C:
        """The client of the server at host:port. Raises InvalidArgument for an address that is not host:port."""
        if (name, address) not in self._links:
            channel = self._connector.connect(address, self._profile, self._credentials, self._metadata)
            self._links[name, address] = self._client(channel, name)
        return self._links[name, address]

    async def keep(self, addresses: Iterable[str]) -> None:
        """Closes the clients of all other addresses, except those with calls in progress."""
        kept = set(addresses)
        for key, link in list(self._links.items()):
            if key[1] not in kept and not link.in_progress:
                del self._links[key]
                await link.close()

    async def close(self) -> None:
        """Closes all clients."""
        while self._links:
            await self._links.popitem()[1].close()
