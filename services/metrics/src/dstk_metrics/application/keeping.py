"""The history as a part of the service."""

import logging

from typing_extensions import override

from dstk_metrics.application.recorder import HistoryCounters, Recorder
from dstk_metrics.domain.slices import Slice
from dstk_metrics.ports import HistoryLost, HistoryStore, HistoryUnavailable, Offload, Slices
from dstk_service.logs.fields import LogFields
from dstk_service.service import Background, Part

log = logging.getLogger(__name__)


class HistoryKeeper(Part, Slices):
    """Opens the store, records slices, and writes the minute in progress at the end."""

    name = "history"

    def __init__(self, store: HistoryStore, recorder: Recorder, counters: HistoryCounters, offload: Offload) -> None:
        self._store, self._recorder, self._counters, self._offload = store, recorder, counters, offload

    @override
    async def start(self, background: Background) -> None:
        """Raises HistoryRefused. A disk that is full, or a damaged file, does not keep the service from starting."""
        await self._offload(self._open)

    @override
    async def keep(self, made: Slice) -> None:
        await self._offload(lambda: self._recorder.add(made))

    @override
    async def close(self) -> None:
        await self._offload(self._close)

    def _open(self) -> None:
        self._store.open()
        try:
            self._recorder.note_stored()
        except HistoryLost:
            self._counters.files_moved_aside += 1
        except HistoryUnavailable as error:
            log.warning("the history cannot be opened yet", extra=LogFields(error=str(error)))

    def _close(self) -> None:
        try:
            self._recorder.close()
        finally:
            self._store.close()
