"""Cancellations that gRPC loses."""

import asyncio


def is_cancelled() -> bool:
    """Whether somebody has asked the current task to end.

    To be looked at when a call of grpc.aio returns: it swallows a cancellation that comes in the moment of its answer, so that
    Ctrl-C would do nothing.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
