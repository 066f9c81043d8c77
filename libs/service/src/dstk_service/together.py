"""Tasks that belong together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises its first failure itself, rather than a group of failures.

    It is raised when the group is handled already: the group would become its context, and each would keep the other, and all
    that their tracebacks name, until a garbage collection.
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
            del failure  # its traceback names this frame
