"""Having the engine for oneself: nobody else is in a call of it, nor has it for himself."""

import asyncio

from dstk_storage.adapters.threads import ThreadOffload


async def test_who_has_the_engine_for_himself_is_alone_however_many_want_it() -> None:
    offload, inside = ThreadOffload(2, "test"), 0

    async def has_it_alone() -> None:
        nonlocal inside
        async with offload.exclusive():
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.001)
            assert inside == 1
            inside -= 1

    def calls() -> int:
        return inside

    async def asks() -> None:
        for _ in range(20):
            assert await offload(calls) == 0

    await asyncio.gather(*(has_it_alone() for _ in range(5)), asks(), asks())
    await offload.close()
