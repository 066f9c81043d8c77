"""The file system under a data directory, as full as a test says."""

from dataclasses import dataclass

from typing_extensions import override

from dstk_storage.ports import Disk


@dataclass
class FakeDisk(Disk):
    """`free` bytes of `capacity` may still be written."""

    free: int = 1 << 40
    capacity: int = 1 << 41

    @override
    def free_bytes(self) -> int:
        return self.free

    @override
    def capacity_bytes(self) -> int:
        return self.capacity
