"""A task knows that it was asked to end, even if the request was swallowed on the way."""

import asyncio

from dstk_service.cancellation import Cancellation


async def test_a_cancellation_that_was_swallowed_is_still_seen() -> None:
    seen: list[bool] = []

    async def swallows() -> None:
        cancellation = Cancellation()
        seen.append(cancellation.requested)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(cancellation.requested)
            clean_up = Cancellation()
            await asyncio.sleep(0)
            seen.append(clean_up.requested)

    task = asyncio.create_task(swallows())
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert seen == [False, True, False]
