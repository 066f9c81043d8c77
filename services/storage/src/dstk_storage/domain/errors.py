"""Why the storage node declines an operation. What callers are told in the same words is an error of the API already, with its
code and HTTP status in the one table of errors (dstk_service.error_table); the servicers translate the others.
"""

from dstk_keytypes.errors import Portable
from dstk_service import plain_errors as api

LEASE_RETRY_SECONDS = 0.02
DISK_RETRY_SECONDS = 1.0


class StorageError(Portable):
    """Base of all refusals and failures of the domain."""


class NotOwned(StorageError):
    """No partition that this node serves, at the epoch that the caller names, contains the key. Nothing was done."""

    def __init__(self, key: bytes, *, before: bool = False) -> None:
        super().__init__(f"this node does not serve key {api.shown(key)}")
        self.key = key
        self.before = before
        """True: the keys just below `key` are meant (the end of a reverse scan)."""


class NotPrimary(StorageError):
    """This node is not the primary of the partition. Nothing was done."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"this node is not the primary of partition {partition}")
        self.partition = partition


class Missing(StorageError, api.NotFound):
    """The key has no live record. Nothing was done."""


class Exists(StorageError, api.AlreadyExists):
    """If-absent was asked for and the key has a live record. Nothing was done."""


class EtagDiffers(StorageError, api.EtagMismatched):
    """The live record does not carry the given etag (0: there is none). Nothing was done."""


class PreconditionFailed(StorageError, api.PreconditionFailed):
    """The partition or a node is not in the state that the change of the map needs. Nothing was done."""


class LeaseOver(StorageError, api.NotServing):
    """This node may not answer for the partition at the moment: a follower has not been heard of, or the partition is quiesced
    for a change of the map. Nothing was done.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why, LEASE_RETRY_SECONDS)


class QueueFull(StorageError, api.Overloaded):
    """More waits than the queues hold. Nothing was done; try again after `retry_after` seconds."""


class ReadOnly(StorageError, api.DiskFull):
    """The node refuses writes since its disk is full or failing. Nothing was done."""

    def __init__(self, why: str) -> None:
        super().__init__(why, DISK_RETRY_SECONDS)


class CommitFailed(StorageError, api.WriteAmbiguous):
    """The disk failed while the write was on its way to it: whether it is durable is not known."""


class Corrupt(StorageError, api.Quarantined):
    """The partition is quarantined: a block of its data does not match its checksum."""
