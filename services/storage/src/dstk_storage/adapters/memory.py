"""The engine's in-memory twin: what was not synced is lost on `crash`, and faults can be switched on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sortedcontainers import SortedDict

from dstk_storage.ports import Batch, EngineCorruption, EngineError


class MemoryBatch:
    """Changes in the order given."""

    def __init__(self) -> None:
        self.changes: list[tuple[bytes, bytes | None]] = []

    def put(self, key: bytes, value: bytes) -> None:
        """See Batch."""
        self.changes.append((key, value))

    def delete(self, key: bytes) -> None:
        """See Batch."""
        self.changes.append((key, None))


class MemoryEngine:
    """A sorted map. `failing` makes writes fail until `reopen`; keys in `corrupt` cannot be read."""

    def __init__(self) -> None:
        self._data: SortedDict[bytes, bytes] = SortedDict()
        self._broken = False
        self.failing = False
        self.corrupt: set[bytes] = set()
        self.corruption = ""

    def get(self, key: bytes) -> bytes | None:
        """See Engine."""
        self._check(key)
        value: bytes | None = self._data.get(key)
        return value

    def batch(self) -> Batch:
        """See Engine."""
        return MemoryBatch()

    def write(self, batch: Batch) -> None:
        """See Engine."""
        if self.failing or self._broken:
            self._broken = True
            raise EngineError("No space left on device")
        assert isinstance(batch, MemoryBatch)
        for key, value in batch.changes:
            if value is None:
                self._data.pop(key, None)
            else:
                self._data[key] = value

    @contextmanager
    def iterate(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False, fill_cache: bool = True
    ) -> Iterator[Iterator[tuple[bytes, bytes]]]:
        """See Engine."""
        del fill_cache
        keys = list(self._data.irange(start, stop, inclusive=(True, False), reverse=reverse))
        snapshot = [(key, self._data[key]) for key in keys]
        yield (self._checked(key, value) for key, value in snapshot)

    @contextmanager
    def snapshot(self) -> Iterator["MemoryEngine"]:
        """See Engine."""
        frozen = MemoryEngine()
        frozen._data, frozen.corrupt = self._data.copy(), self.corrupt
        try:
            yield frozen
        finally:
            self.corruption = self.corruption or frozen.corruption

    def approximate_size(self, start: bytes, stop: bytes) -> int:
        """See Engine."""
        keys = self._data.irange(start, stop, inclusive=(True, False))
        return sum(len(key) + len(self._data[key]) for key in keys)

    def flush(self) -> None:
        """See Engine. Everything has its size at once."""

    def compact(self, start: bytes, stop: bytes) -> None:
        """See Engine. Nothing that was deleted takes space here."""

    def reopen(self) -> None:
        """See Engine."""
        if self.failing:
            raise EngineError("No space left on device")
        self._broken = False

    def reset(self, pairs: Mapping[bytes, bytes], *, keep: bool) -> str:
        """See Engine. Nothing is kept."""
        del keep
        self._data.clear()
        self._data.update(pairs)
        self.corrupt.clear()
        self.corruption, self._broken = "", False
        return ""

    def image(self) -> dict[bytes, bytes]:
        """Everything that it holds, as a copy of its disk would."""
        return dict(self._data)

    def close(self) -> None:
        """See Engine."""

    def _checked(self, key: bytes, value: bytes) -> tuple[bytes, bytes]:
        self._check(key)
        return key, value

    def _check(self, key: bytes) -> None:
        if key in self.corrupt:
            self.corruption = self.corruption or f"block checksum mismatch at {key!r}"
            raise EngineCorruption(self.corruption)
