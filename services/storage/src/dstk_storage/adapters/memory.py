"""The engine's in-memory twin: what was not synced is lost on `crash`, and faults can be switched on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sortedcontainers import SortedDict
from typing_extensions import override

from dstk_storage.ports import Batch, Engine, EngineCorruption, EngineError


class MemoryBatch(Batch):
    """Changes in the order given."""

    def __init__(self) -> None:
        self.changes: list[tuple[bytes, bytes | None]] = []

    @override
    def put(self, key: bytes, value: bytes) -> None:
        self.changes.append((key, value))

    @override
    def delete(self, key: bytes) -> None:
        self.changes.append((key, None))


class MemoryEngine(Engine):
    """A sorted map. `failing` makes writes fail until `reopen`; `keeps_failed`: the first of them is there then, as when only
    the fsync failed. Keys in `corrupt` cannot be read.
    """

    def __init__(self) -> None:
        self._data: SortedDict[bytes, bytes] = SortedDict()
        self._broken = False
        self._failed: MemoryBatch | None = None
        self.failing = self.keeps_failed = False
        self.corrupt: set[bytes] = set()
        self.corruption = ""

    @override
    def get(self, key: bytes) -> bytes | None:
        self._check(key)
        value: bytes | None = self._data.get(key)
        return value

    @override
    def batch(self) -> Batch:
        return MemoryBatch()

    @override
    def write(self, batch: Batch) -> None:
        assert isinstance(batch, MemoryBatch)
        if self.failing or self._broken:
            if self.keeps_failed and not self._broken:
                self._failed = batch
            self._broken = True
            raise EngineError("No space left on device")
        self._apply(batch)

    def _apply(self, batch: MemoryBatch) -> None:
        for key, value in batch.changes:
            if value is None:
                self._data.pop(key, None)
            else:
                self._data[key] = value

    @contextmanager
    @override
    def iterate(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False, fill_cache: bool = True
    ) -> Iterator[Iterator[tuple[bytes, bytes]]]:
        del fill_cache
        keys = list(self._data.irange(start, stop, inclusive=(True, False), reverse=reverse))
        snapshot = [(key, self._data[key]) for key in keys]
        yield (self._checked(key, value) for key, value in snapshot)

    @contextmanager
    @override
    def snapshot(self) -> Iterator["MemoryEngine"]:
        frozen = MemoryEngine()
        frozen._data, frozen.corrupt = self._data.copy(), self.corrupt
        try:
            yield frozen
        finally:
            self.corruption = self.corruption or frozen.corruption

    @override
    def approximate_size(self, start: bytes, stop: bytes) -> int:
        keys = self._data.irange(start, stop, inclusive=(True, False))
        return sum(len(key) + len(self._data[key]) for key in keys)

    @override
    def overheads(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, int]]:
        """Returns none: sizes are those of records."""
        return iter(())

    @override
    def flush(self) -> None:
        """Does nothing: there is no write buffer."""

    @override
    def compact(self, start: bytes, stop: bytes) -> None:
        """Does nothing: deleted records take no space."""

    @override
    def reclaim(self) -> bool:
        """Does nothing: there are no files."""
        return True

    @override
    def reopen(self) -> None:
        if self.failing:
            raise EngineError("No space left on device")
        self._broken = False
        if self._failed is not None:
            self._apply(self._failed)
            self._failed = None

    @override
    def reset(self, pairs: Mapping[bytes, bytes], *, keep: bool) -> str:
        # no old engine is kept
        del keep
        self._data.clear()
        self._data.update(pairs)
        self.corrupt.clear()
        self.corruption, self._broken, self._failed = "", False, None
        return ""

    def image(self) -> dict[bytes, bytes]:
        """Everything that it holds, as a copy of its disk would."""
        return dict(self._data)

    @override
    def close(self) -> None: ...

    def _checked(self, key: bytes, value: bytes) -> tuple[bytes, bytes]:
        self._check(key)
        return key, value

    def _check(self, key: bytes) -> None:
        if key in self.corrupt:
            self.corruption = self.corruption or f"block checksum mismatch at {key!r}"
            raise EngineCorruption(self.corruption)
