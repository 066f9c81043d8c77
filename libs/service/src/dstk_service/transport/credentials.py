"""Who calls: an operator, who has the token of a file, or a node of this cluster, which has the secret that etcd holds.

Credentials travel as metadata of each call. One object serves both ends: a caller shows `metadata`, a listener calls `check`.
"""

import hmac
from collections.abc import Mapping
from typing import Protocol

from typing_extensions import override

from dstk_service.errors import NotServing, PermissionDenied

Metadata = tuple[tuple[str, str], ...]

AUTHORIZATION = "authorization"
SECRET = "dstk-secret"  # noqa: S105 - the name of the metadata

_LOOPBACK = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D", "unix:")
_JOIN_SECONDS = 0.1
"""After which a node that has not read the secret yet may be asked again."""


class Credentials(Protocol):
    """Proves to the server who calls."""

    def metadata(self) -> Metadata:
        """What the caller sends with every call."""

    def check(self, given: Mapping[str, object], peer: str) -> None:
        """Checks the metadata of a call from `peer`, a gRPC address such as "ipv4:10.0.0.1:5". Raises PermissionDenied."""


class OperatorCredentials(Credentials):
    """The admin token. Without one, calls from this machine alone are accepted."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token or None

    @override
    def metadata(self) -> Metadata:
        return () if self._token is None else ((AUTHORIZATION, f"Bearer {self._token}"),)

    @override
    def check(self, given: Mapping[str, object], peer: str) -> None:
        if self._token is None:
            if not peer.startswith(_LOOPBACK):
                why = f"calls of this service from {peer!r} need a token: configure --admin-token-file on every service"
                raise PermissionDenied(why)
        elif not _same(given.get(AUTHORIZATION), f"Bearer {self._token}"):
            raise PermissionDenied("the admin token is missing or wrong: send metadata 'authorization: Bearer TOKEN'")


class NodeCredentials(Credentials):
    """The admin token, if there is one, and the secret of the cluster, which a node reads from etcd after it has started."""

    def __init__(self, token: str | None = None, secret: str = "") -> None:
        self._operator = OperatorCredentials(token)
        self._secret = secret

    def join(self, secret: str) -> None:
        """Sets the secret of the cluster, for calls of this node and to it."""
        self._secret = secret

    @override
    def metadata(self) -> Metadata:
        return (*self._operator.metadata(), *(((SECRET, self._secret),) if self._secret else ()))

    @override
    def check(self, given: Mapping[str, object], peer: str) -> None:
        """Also raises NotServing until the secret is known."""
        self._operator.check(given, peer)
        if not self._secret:
            raise NotServing("this node is starting", _JOIN_SECONDS)
        if not _same(given.get(SECRET), self._secret):
            raise PermissionDenied(f"only storage nodes of this cluster may call this: send its secret as {SECRET!r}")


def _same(given: object, wanted: str) -> bool:
    return hmac.compare_digest(str(given or "").encode(errors="surrogateescape"), wanted.encode())
