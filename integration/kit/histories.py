"""A history without a service: minutes are added, and GetHistory is asked."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from dstk.v1 import metrics_pb2
from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_metrics.application.history import HistoryAnswers
from dstk_metrics.application.history_reader import HistoryReader
from dstk_metrics.application.recorder import HistoryCounters, Recorder
from dstk_metrics.application.shared_drawings import SharedDrawings
from dstk_metrics.domain.figures import HISTORY
from dstk_metrics.domain.history.tiers import MINUTE_MS
from dstk_metrics.domain.slices import Slice
from dstk_metrics.ports import HistoryStore, Offload, T
from dstk_service.testing import ManualClock

NOON_MS = 1_800_000_000_000 - 1_800_000_000_000 % (240 * MINUTE_MS)
"""A time at which slots of all tiers begin."""

STARTS = [b"", b"g", b"p"]
"""Where the partitions of the map start."""


class Inline(Offload):
    """Runs calls at once."""

    @override
    async def __call__(self, call: Callable[[], T], /) -> T:
        return call()


class View:
    """A map of three partitions on two nodes, or none yet."""

    def __init__(self) -> None:
        bounds = [*STARTS, None]
        self.current: ClusterMap | None = ClusterMap(
            1,
            "test",
            "uid",
            tuple(
                PartitionInfo(PartitionId(number + 1), KeyRange(start, end), 1, NodeId(f"node-{number % 2}"), (), ())
                for number, (start, end) in enumerate(zip(STARTS, bounds[1:], strict=True))
            ),
            {},
        )


class History:
    """A recorder, and what answers from the same store."""

    def __init__(self, store: HistoryStore) -> None:
        self.counters, self.view = HistoryCounters(), View()
        self.now_ms = NOON_MS
        self.recorder = Recorder(store, self.counters)
        self._reader = HistoryReader(store, self.recorder, self.counters)

    def add(self, *values: float, starts: Sequence[bytes] = STARTS) -> None:
        """Adds the next minute, in which each figure of a range is the same."""
        figures = np.tile(np.array(values, np.float32), (len(HISTORY), 1))
        self.recorder.add(Slice(self.now_ms, self.now_ms + MINUTE_MS, starts, figures))
        self.now_ms += MINUTE_MS

    def ask(self, **request: Any) -> "Answer":
        """Asks for READS, of all there is unless `request` says otherwise."""
        message = metrics_pb2.GetHistoryRequest(**{"figure": metrics_pb2.FIGURE_READS, "from_ms": NOON_MS} | request)
        drawings = SharedDrawings(self._reader, self.counters, Inline())
        answers = HistoryAnswers(drawings, self.view, ManualClock(self.now_ms))
        return Answer(asyncio.run(answers.answer(message)))


class Answer:
    """The message, and its values as a matrix."""

    def __init__(self, message: metrics_pb2.GetHistoryResponse) -> None:
        self.message = message
        rows, columns = len(message.row_starts), len(message.column_times_ms)
        assert len(message.values) == 4 * rows * columns
        self.values: NDArray[np.float32] = np.frombuffer(message.values, "<f4").reshape(rows, columns)
        self.minutes = [(time - NOON_MS) // MINUTE_MS for time in message.column_times_ms]
