"""Engines by kind, and engines in memory that do one thing more; each of them passes the suite of engines."""

from collections.abc import Callable, Mapping
from pathlib import Path

from typing_extensions import override

from dstk_storage.adapters.leveldb import LevelDBEngine, LevelDBOptions
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.ports import Batch, Engine, EngineCorruption


class InterruptedEngine(MemoryEngine):
    """`meanwhile` is called once, while a write that fails is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] | None = None

    @override
    def write(self, batch: Batch) -> None:
        if self.failing and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        super().write(batch)


class RecordingEngine(MemoryEngine):
    """Keeps the bounds of what is compacted."""

    def __init__(self) -> None:
        super().__init__()
        self.compacted: list[tuple[bytes, bytes]] = []

    @override
    def compact(self, start: bytes, stop: bytes) -> None:
        self.compacted.append((start, stop))
        super().compact(start, stop)


class DamagedEngine(MemoryEngine):
    """While `damaged`, takes no writes, as LevelDB after a compaction that has met a damaged table. A reset mends it."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged = False

    @override
    def write(self, batch: Batch) -> None:
        if self.damaged:
            raise EngineCorruption("a table of it")
        super().write(batch)

    @override
    def reset(self, pairs: Mapping[bytes, bytes], *, keep: bool) -> str:
        self.damaged = False
        return super().reset(pairs, keep=keep)


KINDS: dict[str, Callable[[Path], Engine]] = {
    "memory": lambda _: MemoryEngine(),
    "leveldb": lambda directory: LevelDBEngine.make(directory / "leveldb", LevelDBOptions(), {}),
}
"""The node's two engines, made below a directory."""
FAKES: dict[str, Callable[[Path], Engine]] = {
    "interrupted": lambda _: InterruptedEngine(),
    "recording": lambda _: RecordingEngine(),
    "damaged": lambda _: DamagedEngine(),
}
"""The fakes of this module, to which nothing has happened yet."""
