"""How much may wait at one moment before callers are told to come back."""

from dataclasses import dataclass

from dstk_storage.domain.errors import QueueFull

RETRY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How many writes, and bytes of keys and values, may gather at one moment on a node."""

    writes: int = 200_000
    bytes: int = 64 << 20


class Admission:
    """What gathers, of all partitions. Batches give back what they took when they leave GATHERING (batch.py)."""

    __slots__ = ("_limits", "bytes", "writes")

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self.writes = self.bytes = 0

    def check(self, size: int) -> None:
        """Raises QueueFull unless a write of `size` bytes can still gather. A first write always can."""
        if self.writes and (self.bytes + size > self._limits.bytes or self.writes >= self._limits.writes):
            raise QueueFull(f"{self.writes} writes of {self.bytes} bytes wait for the disk", RETRY_SECONDS)

    def room(self, size: int) -> tuple[int, int]:
        """How many writes and bytes can still gather, at least one write of `size` bytes. Raises QueueFull."""
        self.check(size)
        return max(1, self._limits.writes - self.writes), max(size, self._limits.bytes - self.bytes)

    def release(self, writes: int, size: int) -> None:
        """So many writes and bytes gather no longer."""
        self.writes -= writes
        self.bytes -= size
