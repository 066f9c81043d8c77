"""A timeout ends a block by the clock that it belongs to."""

import asyncio

import pytest

from dstk_service.clock import Clock, SystemClock, sleep_unless
from dstk_service.testing import ManualClock


async def test_a_block_on_a_manual_clock_ends_when_that_clock_says_so() -> None:
    clock, begun = ManualClock(), asyncio.Event()

    async def block() -> None:
        async with clock.timeout(5):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await begun.wait()
    await clock.advance(4.9)
    assert not task.done()
    await clock.advance(0.2)
    with pytest.raises(TimeoutError):
        await task


@pytest.mark.parametrize("clock", [ManualClock(), SystemClock()])
async def test_a_block_that_ends_in_time_leaves_nothing_behind(clock: Clock) -> None:
    async with clock.timeout(60):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_systems_clock_ends_a_block_in_real_time() -> None:
    with pytest.raises(TimeoutError):
        async with SystemClock().timeout(0.01):
            await asyncio.Event().wait()


@pytest.mark.parametrize("clock", [ManualClock(), SystemClock()])
async def test_a_cancelled_block_is_cancelled_and_not_late(clock: Clock) -> None:
    async def block() -> None:
        async with clock.timeout(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_sleep_ends_when_its_event_is_set_or_its_time_is_over() -> None:
    clock, woken = ManualClock(), asyncio.Event()
    sleeps = [asyncio.create_task(sleep_unless(woken, clock, seconds)) for seconds in (5, 50)]
    await clock.advance(5)
    await sleeps[0]
    assert not sleeps[1].done()
    woken.set()
    await sleeps[1]
