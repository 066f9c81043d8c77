"""Puts the history together."""

from dstk_cluster.view import CurrentMap
from dstk_metrics.adapters.history_sqlite import SqliteHistoryStore
from dstk_metrics.adapters.history_thread import HistoryThread
from dstk_metrics.application.history import HistoryAnswers
from dstk_metrics.application.history_reader import HistoryReader
from dstk_metrics.application.keeping import HistoryKeeper
from dstk_metrics.application.recorder import HistoryCounters, Recorder
from dstk_metrics.application.shared_drawings import SharedDrawings
from dstk_metrics.config import MetricsConfig
from dstk_service.clock import Clock
from dstk_service.service import Closing, Part


class History:
    """What keeps slices, what answers from them, and what is counted of both. `parts` start before what gives slices."""

    def __init__(self, config: MetricsConfig, view: CurrentMap, clock: Clock) -> None:
        thread = HistoryThread()
        store = SqliteHistoryStore(config.data_dir, config.history_bytes, clock.now_ms)
        self.counters = HistoryCounters()
        recorder = Recorder(store, self.counters)
        self.keeper = HistoryKeeper(store, recorder, self.counters, thread)
        drawings = SharedDrawings(HistoryReader(store, recorder, self.counters), self.counters, thread)
        self.answers = HistoryAnswers(drawings, view, clock)
        self.parts: list[Part] = [Closing("history thread", thread.close), self.keeper]
