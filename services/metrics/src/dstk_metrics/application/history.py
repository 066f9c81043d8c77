"""Answers GetHistory."""

import numpy as np

from dstk.v1 import metrics_pb2
from dstk_cluster.view import CurrentMap, map_obstacle
from dstk_metrics.application.history_reader import Drawing, InFuture, Wanted
from dstk_metrics.application.shared_drawings import SharedDrawings
from dstk_metrics.domain.figures import Figure
from dstk_metrics.ports import HistoryLost, HistoryUnavailable
from dstk_service import metrics_requests
from dstk_service.clock import Clock
from dstk_service.errors import InvalidArgument, NotServing

DEFAULT_ROWS, DEFAULT_COLUMNS = 512, 512

_RETRY_SECONDS = 0.5


class HistoryAnswers:
    """Has matrices drawn, and adds what the current map says of each row."""

    def __init__(self, drawings: SharedDrawings, view: CurrentMap, clock: Clock) -> None:
        self._drawings, self._view, self._clock = drawings, view, clock

    async def answer(self, request: metrics_pb2.GetHistoryRequest) -> metrics_pb2.GetHistoryResponse:
        """A matrix. Raises InvalidArgument, NotServing."""
        metrics_requests.history(request)
        if why := map_obstacle(self._view):
            raise NotServing(why, _RETRY_SECONDS)
        wanted = _wanted(request)
        try:
            drawing = await self._drawings.draw(wanted, self._clock.now_ms())
        except InFuture as error:
            limit = f"earlier than {error.latest_ms}, the time of this service"
            raise InvalidArgument("from_ms", str(request.from_ms), limit) from error
        except (HistoryUnavailable, HistoryLost) as error:
            raise NotServing(f"the history cannot be read: {error}", _RETRY_SECONDS) from error
        return self._message(wanted, drawing)

    def _message(self, wanted: Wanted, drawing: Drawing) -> metrics_pb2.GetHistoryResponse:
        current = self._view.current
        assert current is not None
        matrix, columns = drawing.matrix, drawing.columns
        partitions = [current.partition_of(start) for start in matrix.starts]
        return metrics_pb2.GetHistoryResponse(
            figure=metrics_pb2.Figure.ValueType(wanted.figure),
            row_starts=matrix.starts,
            end=wanted.end,
            column_times_ms=[column.begin_ms for column in columns],
            until_ms=columns[-1].end_ms,
            values=np.ascontiguousarray(matrix.values, "<f4").tobytes(),
            row_nodes=[partition.primary for partition in partitions],
            row_partitions=[partition.id for partition in partitions],
        )


def _wanted(request: metrics_pb2.GetHistoryRequest) -> Wanted:
    return Wanted(
        Figure(request.figure),
        request.start,
        request.end,
        request.from_ms,
        request.to_ms,
        request.max_rows or DEFAULT_ROWS,
        request.max_columns or DEFAULT_COLUMNS,
    )
