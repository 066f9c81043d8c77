"""The coordinator: a small consistent store with transactions, watches and leases. etcd, or its in-memory twin.

Whatever cannot be reached raises CoordinatorUnavailable; a transaction that raises it may have been applied.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol


class CoordinatorUnavailable(Exception):
    """The coordinator did not answer. A change may have been applied all the same."""


class WatchLost(Exception):
    """The watch ended: resume it at the revision after the last one that was seen."""


class Compacted(Exception):
    """The revision asked for is history no more: read everything anew."""


class Entry(NamedTuple):
    """A key at one moment. `revision`: of its last change."""

    key: bytes
    value: bytes
    revision: int


class Compare(NamedTuple):
    """Holds when the key was last changed at `revision`; 0: when it does not exist."""

    key: bytes
    revision: int


class Same(NamedTuple):
    """Holds when the key has this very value."""

    key: bytes
    value: bytes


class Put(NamedTuple):
    """Sets a key; with a lease it goes when the lease ends."""

    key: bytes
    value: bytes
    lease: int = 0


class Delete(NamedTuple):
    """Removes a key."""

    key: bytes


class TxnResult(NamedTuple):
    """`succeeded`: all comparisons held and all changes were made, at `revision`."""

    succeeded: bool
    revision: int


class WatchBatch(NamedTuple):
    """All changes of one revision under the watched prefix."""

    revision: int
    puts: tuple[Entry, ...]
    deletes: tuple[bytes, ...]


class Coordinator(Protocol):
    """See the module. Every call has a deadline of its own."""

    async def get(self, key: bytes) -> Entry | None:
        """One key, linearizable."""

    async def range(self, prefix: bytes) -> tuple[list[Entry], int]:
        """All keys with the prefix, in order, and the revision at which that was so."""

    async def txn(self, compares: Sequence[Compare | Same], changes: Sequence[Put | Delete]) -> TxnResult:
        """Makes all changes if all comparisons hold, atomically. At most 128 of each."""

    def watch(self, prefix: bytes, from_revision: int) -> AsyncIterator[WatchBatch]:
        """Changes under the prefix from `from_revision` on, in order. Raises WatchLost, Compacted."""

    async def grant_lease(self, seconds: int) -> int:
        """A new lease that ends after so many seconds without `keep_alive`."""

    async def keep_alive(self, lease: int) -> bool:
        """Starts the lease's time anew; False: it has ended."""

    async def revoke(self, lease: int) -> None:
        """Ends the lease and removes its keys."""

    async def close(self) -> None:
        """Ends everything."""
