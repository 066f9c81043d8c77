"""The handler of the root logger: throttles, formats, and gives lines to the writer."""

import logging
import time
from collections.abc import Callable
from typing import Final

from typing_extensions import override

from dstk_service.logs.fields import LogFields
from dstk_service.logs.throttle import Message, Throttle
from dstk_service.logs.writer import LineWriter

STANDARD_ERROR: Final = 2

_ME: Final = "dstk_service.logs"


class LogHandler(logging.Handler):
    """Writes to a descriptor. `emit` never raises and never waits for it."""

    def __init__(
        self, descriptor: int, formatter: logging.Formatter, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._throttle = Throttle(monotonic)
        self.addFilter(self._throttle)
        self._writer = LineWriter(descriptor, self._lost_line, self._count_suppressed)

    @property
    def lost(self) -> int:
        """Lines that could not be written, since the start."""
        return self._writer.lost

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a message whose arguments do not fit it must not end the caller
            line = self.format(_line(record.levelno, f"a line of {record.name} cannot be formatted: {record.msg!r}"))
        self._writer.put(line)

    @override
    def flush(self) -> None:
        self._writer.flush()

    @override
    def close(self) -> None:
        self._count_suppressed(at_least=0.0)
        self._writer.close()
        super().close()

    def _count_suppressed(self, **settled: float) -> None:
        for message, count in self._throttle.settled(**settled):
            self.emit(_suppressed(message, count))

    def _lost_line(self, count: int) -> str:
        text = "lines were lost: the log could not be written"
        return self.format(_line(logging.WARNING, text, LogFields(dropped=count)))


def _suppressed(message: Message, count: int) -> logging.LogRecord:
    text = f"lines were suppressed: {message.text}"
    return _line(message.level, text, LogFields(suppressed=count), message.logger)


def _line(level: int, text: str, extra: LogFields | None = None, logger: str = _ME) -> logging.LogRecord:
    given = {"name": logger, "levelno": level, "levelname": logging.getLevelName(level), "msg": text, **(extra or {})}
    return logging.makeLogRecord(given)
