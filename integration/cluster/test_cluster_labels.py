"""Nothing that a caller sends becomes the value of a label: it would make series without end, and show keys of users."""

from pathlib import Path

import grpc
import pytest
from kit.operators import operator_at
from kit.process_cluster import ProcessCluster
from kit.scrape import answer, scrape

from dstk_client import KeyRange, connect
from dstk_service.errors import DstkError
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

WORD = "sesame"


async def test_no_word_of_a_caller_is_in_what_is_exported(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path, router=True) as cluster:
        for name in ("router", "storage-1"):
            await _call_by_the_word(cluster.address(name))
            await _ask_as_an_operator(cluster.address(name))
        for name in ("router", "storage-1"):
            await _counted(cluster.operations(name))
            status, text = await answer(cluster.operations(name), "/metrics")
            assert status == 200
            assert WORD not in text


async def _call_by_the_word(address: str) -> None:
    """In keys, values, and names of methods and headers that do not exist."""
    key = WORD.encode()
    async with connect(address, mode="gateway") as client:
        await client.put(key, key)
        assert [record.value async for record in client.scan(KeyRange(key, None))] == [key]
    async with grpc.aio.insecure_channel(address, options=[("grpc.primary_user_agent", WORD)]) as channel:
        for path in (f"/{WORD}.v1.{WORD}/{WORD}", f"/dstk.v1.KeyValue/{WORD}"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(path)(b"", metadata=((WORD, WORD),), timeout=10)
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def _ask_as_an_operator(address: str) -> None:
    """Of a node that does not exist."""
    async with operator_at(address) as operator:
        with pytest.raises(DstkError, match=WORD):
            await operator.transfer(1, WORD)


async def _counted(address: str) -> None:
    """Waits until the calls above are in the figures."""

    async def has_a_put() -> bool:
        return (await scrape(address)).sum("dstk_operations_total", operation="put") > 0

    await eventually(has_a_put, within=30)
