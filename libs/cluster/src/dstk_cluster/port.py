"""The coordinator: a small consistent store with transactions, watches and leases. It is etcd, or its in-memory twin.

A call raises CoordinatorUnavailable if the store does not answer. A transaction that raises it may have been applied.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final, NamedTuple, Protocol


class CoordinatorUnavailable(Exception):
    """The coordinator did not answer. A change may have been applied anyway."""


class WatchLost(Exception):
    """The watch ended. Resume it at the revision after the last one that it returned."""


class Compacted(Exception):
    """The requested revision was compacted. Read everything again."""


class Entry(NamedTuple):
    """A key and its value. `revision`: the revision of its last change."""

    key: bytes
    value: bytes
    revision: int


TXN_CHANGES: Final = 100
"""How many changes this program puts into one transaction. etcd accepts 128."""


class RevisionIs(NamedTuple):
    """True if the key was last changed at `revision`; with revision 0, if it does not exist."""

    key: bytes
    revision: int


class ValueIs(NamedTuple):
    """True if the key has exactly this value."""

    key: bytes
    value: bytes


class Put(NamedTuple):
    """Sets a key. With a lease, the key is deleted when the lease ends."""

    key: bytes
    value: bytes
    lease: int = 0


class Delete(NamedTuple):
    """Deletes a key."""

    key: bytes


def in_chunks(changes: Sequence[Put | Delete]) -> Iterator[Sequence[Put | Delete]]:
    """Yields the changes in chunks that each fit into one transaction."""
    for at in range(0, len(changes), TXN_CHANGES):
        yield changes[at : at + TXN_CHANGES]


class TxnResult(NamedTuple):
    """`succeeded`: all comparisons were true, and all changes were made at `revision`."""

    succeeded: bool
    revision: int


class WatchBatch(NamedTuple):
    """All changes of one revision under the watched prefix."""

    revision: int
    puts: tuple[Entry, ...]
    deletes: tuple[bytes, ...]


class Coordinator(Protocol):
    """The port to the store. Every call has a deadline of its own."""

    async def get(self, key: bytes) -> Entry | None:
        """Returns one key; None if it does not exist. Linearizable."""

    async def range(self, prefix: bytes) -> tuple[list[Entry], int]:
        """Returns all keys with the prefix, in order, and the revision of the store at that moment."""

    async def txn(self, compares: Sequence[RevisionIs | ValueIs], changes: Sequence[Put | Delete]) -> TxnResult:
        """Makes all changes if all comparisons are true, atomically. At most 128 of each."""

    def watch(self, prefix: bytes, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Yields the changes under the prefix from `from_revision` on, in order. Raises WatchLost, Compacted."""

    async def grant_lease(self, seconds: int) -> int:
        """Returns a new lease, which ends after `seconds` seconds without `keep_alive`."""

    async def keep_alive(self, lease: int) -> bool:
        """Renews the lease. Returns False if it has ended."""

    async def revoke(self, lease: int) -> None:
        """Ends the lease and deletes its keys."""

    async def close(self) -> None:
        """Closes all connections."""
