"""A task group that raises a single failure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises its first failure instead of a group of failures.

    The failure is raised after the group has been handled. Otherwise the group would become its context, and each would keep
    the other, and everything in their tracebacks, until a garbage collection.
    """
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        failure = errors.exceptions[0]
    if failure is not None:
        try:
            raise failure
        finally:
            del failure  # its traceback refers to this frame
