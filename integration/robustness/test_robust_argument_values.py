"""Which values are right: timeouts, times to live, buffers that may change, and what a client is connected with."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from kit.hostile import catalogue
from kit.process_cluster import ProcessCluster

from dstk_client import DstkError, InvalidArgument, Key, connect, connect_sync

pytestmark = [pytest.mark.slow]

K = Key.of("arguments", "k")


@pytest.mark.parametrize("name", ["addresses", "mode", "timeout"])
def test_connecting_refuses_what_cannot_be_right_at_the_call(name: str) -> None:
    for value in catalogue():
        arguments = (value,) if name == "addresses" else ("127.0.0.1:1",)
        if name == "timeout" and isinstance(value, int | float) and not isinstance(value, bool):
            continue  # some are right
        with pytest.raises(InvalidArgument):
            connect(*arguments, **({} if name == "addresses" else {name: value}))
        with pytest.raises(InvalidArgument):
            connect_sync(*arguments, **({} if name == "addresses" else {name: value}))


@pytest.mark.parametrize("timeout", [0, -1, -0.0, float("nan"), float("inf"), 10**400, 5_000_000, True, "5", None])
async def test_a_timeout_is_a_finite_number_above_zero(small_cluster: ProcessCluster, timeout: Any) -> None:
    with pytest.raises(InvalidArgument, match="timeout"):
        connect("127.0.0.1:1", timeout=timeout)
    if timeout is None:  # the client's own
        return
    async with connect(small_cluster.address("router"), timeout=60) as client:
        with pytest.raises(InvalidArgument, match="timeout"):
            await client.get(K, timeout=timeout)


async def test_what_can_change_is_copied_at_the_call(small_cluster: ProcessCluster) -> None:
    async with connect(small_cluster.address("router"), timeout=60) as client:
        changing: Any = bytearray(b"before")
        writing = asyncio.create_task(client.put(K, changing))
        await asyncio.sleep(0)  # it is in the lane
        changing[:] = b"after!"
        await writing
        record = await client.get(K)
        assert record is not None
        assert record.value == b"before"
        strided: Any = memoryview(b"abcdef")[::2]
        await client.put(K, strided)
        record = await client.get(K)
        assert record is not None
        assert record.value == b"ace"


async def test_a_number_is_no_time_to_live_since_it_has_no_unit(small_cluster: ProcessCluster) -> None:
    async with connect(small_cluster.address("router"), timeout=60) as client:
        wrong: list[Any] = [0.5, 1.5, 1, 5000, True, "5s", b"5", timedelta(0), timedelta(-1), timedelta.max]
        for ttl in wrong:
            with pytest.raises(InvalidArgument, match="ttl"):
                await client.put(K, b"v", ttl=ttl)
            with pytest.raises(InvalidArgument, match="ttl"):
                await client.bulk_insert([(K, b"v")], ttl=ttl)
        await client.put(K, b"v", ttl=timedelta(hours=1))
        record = await client.get(K)
        assert record is not None
        assert record.expires_at_ms - record.written_at_ms == 3_600_000


def test_an_error_of_bad_input_is_caught_with_all_the_others() -> None:
    text: Any = "text"
    with pytest.raises(DstkError):
        Key(text)
