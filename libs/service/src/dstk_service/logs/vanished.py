"""Callers that go away while their answers are sent: no fault of the server, although gRPC logs an error with a traceback."""

import logging

from typing_extensions import override

log = logging.getLogger(__name__)

GRPC_LOGGER = "grpc._cython.cygrpc"
GRPC_ERROR = "ExecuteBatchError"
"""gRPC's core could not carry out what was asked for a call: the call has ended, by its caller or with its connection."""


class VanishedCallers(logging.Filter):
    """Takes such lines out of gRPC's logger, and leaves one of the level debug in their place."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        if kind is None or kind.__name__ != GRPC_ERROR:
            return True
        log.debug("a caller went away before its answer was sent: %s", record.getMessage())
        return False


def keep_out() -> None:
    """Begins to filter; once in a process is enough."""
    logger = logging.getLogger(GRPC_LOGGER)
    if not any(isinstance(each, VanishedCallers) for each in logger.filters):
        logger.addFilter(VanishedCallers())
