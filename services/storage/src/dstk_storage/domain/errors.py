"""Why the storage node declines an operation. The servicers translate these (servicers/translate.py)."""

from dstk_keytypes.errors import Portable


class StorageError(Portable):
    """Base of all refusals and failures of the domain."""


class NotOwned(StorageError):
    """No partition that this node serves, at the epoch that the caller names, contains the key. Nothing was done."""

    def __init__(self, key: bytes, *, before: bool = False) -> None:
        super().__init__(f"this node does not serve key {key!r}")
        self.key = key
        self.before = before
        """True: the keys just below `key` are meant (the end of a reverse scan)."""


class Missing(StorageError):
    """The key has no live record. Nothing was done."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"no record under key {key!r}")
        self.key = key


class Exists(StorageError):
    """If-absent was asked for and the key has a live record. Nothing was done."""

    def __init__(self, current_etag: int) -> None:
        super().__init__(f"the key has a record with etag {current_etag}")
        self.current_etag = current_etag


class EtagDiffers(StorageError):
    """The live record does not carry the given etag (0: there is none). Nothing was done."""

    def __init__(self, current_etag: int) -> None:
        super().__init__(f"the current etag is {current_etag}")
        self.current_etag = current_etag


class NotPrimary(StorageError):
    """This node is not the primary of the partition. Nothing was done."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"this node is not the primary of partition {partition}")
        self.partition = partition


class PreconditionFailed(StorageError):
    """The partition or a node is not in the state that the change of the map needs. Nothing was done."""


class LeaseOver(StorageError):
    """This node may not answer for the partition at the moment: a follower has not been heard of, or the partition rests for
    a change of the map. Nothing was done.
    """


class QueueFull(StorageError):
    """More waits than the queues hold. Nothing was done; try again after `retry_after` seconds."""

    def __init__(self, what: str, retry_after: float) -> None:
        super().__init__(f"{what}; try again in {retry_after:g} s")
        self.what = what
        self.retry_after = retry_after


class ReadOnly(StorageError):
    """The node refuses writes since its disk is full or failing. Nothing was done."""


class CommitFailed(StorageError):
    """The disk failed while the write was on its way to it: whether it is durable is not known."""


class Corrupt(StorageError):
    """The partition is quarantined: a block of its data does not match its checksum."""
