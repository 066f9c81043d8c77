"""A task knows that it was asked to end, even if the request was swallowed on the way."""

import asyncio

from dstk_service.cancellation import is_cancelled


async def test_a_cancellation_that_was_swallowed_is_still_seen() -> None:
    seen: list[bool] = []

    async def swallows() -> None:
        seen.append(is_cancelled())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(is_cancelled())

    task = asyncio.create_task(swallows())
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert seen == [False, True]
