"""Draining interrupts waits for callers, and nothing else."""

import asyncio

import pytest

from dstk_service.drain import Drain


async def waits_for_ever(drain: Drain, seen: list[str]) -> None:
    with drain.stream():
        await asyncio.Event().wait()
    seen.append("after")


async def test_a_drain_leaves_the_block_and_goes_on_behind_it() -> None:
    drain, seen = Drain(), list[str]()
    task = asyncio.create_task(waits_for_ever(drain, seen))
    await asyncio.sleep(0)
    drain.begin()
    await task
    assert seen == ["after"]
    assert task.cancelling() == 0


async def test_a_block_entered_during_a_drain_ends_at_its_first_wait() -> None:
    drain, seen = Drain(), list[str]()
    drain.begin()
    await asyncio.wait_for(asyncio.create_task(waits_for_ever(drain, seen)), 60)
    assert seen == ["after"]


async def test_a_cancellation_from_elsewhere_is_passed_on() -> None:
    drain, seen = Drain(), list[str]()
    task = asyncio.create_task(waits_for_ever(drain, seen))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not seen


async def test_a_cancellation_together_with_a_drain_wins() -> None:
    drain, seen = Drain(), list[str]()
    task = asyncio.create_task(waits_for_ever(drain, seen))
    await asyncio.sleep(0)
    drain.begin()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not seen
