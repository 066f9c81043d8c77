"""Overload and a full disk: refused with a reason, nothing lost, recovers by itself."""

import asyncio
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kit.process_cluster import ProcessCluster

from dstk.v1 import kv_pb2, kv_pb2_grpc
from dstk_client import Client, connect
from dstk_keytypes import Key
from dstk_service.errors import DiskFull, NotServing, Overloaded, WriteAmbiguous
from dstk_service.status import from_status
from dstk_service.testing import PATIENCE_SECONDS
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Profile

pytestmark = [pytest.mark.slow]


async def test_more_writes_than_the_queue_holds_are_refused_with_a_delay_and_memory_stays_bounded(
    tmp_path: Path,
) -> None:
    async with ProcessCluster(tmp_path, storage_options=["--queue-writes", "50"]) as cluster:
        async with GRPC.connect(cluster.address("storage-1"), Profile.DEFAULT) as channel:
            stub = kv_pb2_grpc.KeyValueStub(channel)
            add = [
                kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_PUT, key=b"%d" % number, value=bytes(1000))
                for number in range(2000)
            ]
            before = psutil.Process(cluster.pid("storage-1")).memory_info().rss
            refused = written = 0
            for _ in range(20):
                call = stub.Execute()
                await call.write(kv_pb2.ExecuteRequest(id=1, operations=add))
                results = (await call.read()).results
                await call.done_writing()
                for result in results:
                    written += result.code == 0
                    refused += result.code != 0
                status = next(result.status for result in results if result.code)
            assert written >= 20 * 50
            assert refused > written
            error = from_status(rpc_status.status_pb2.Status.FromString(status))
            assert isinstance(error, Overloaded)
            assert error.retry_after > 0
            assert psutil.Process(cluster.pid("storage-1")).memory_info().rss - before < 100 << 20
        async with connect(cluster.address("storage-1"), timeout=60) as client:
            await asyncio.gather(*(client.put(Key.of(number), b"v") for number in range(500)))


async def test_a_unary_refusal_carries_the_retry_delay_for_any_language(tmp_path: Path) -> None:
    async with (
        ProcessCluster(tmp_path, storage_options=["--queue-writes", "1"]) as cluster,
        GRPC.connect(cluster.address("storage-1"), Profile.DEFAULT) as channel,
    ):
        stub = kv_pb2_grpc.KeyValueStub(channel)
        puts = [stub.Put(kv_pb2.PutRequest(key=b"%d" % number)) for number in range(300)]
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert refusals
    for refusal in refusals:
        assert refusal.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        details = rpc_status.from_call(refusal).details
        assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in details)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(mount)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"only root can mount a small file system: {made.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


async def fill(client: Client) -> list[int]:
    """Puts until the disk is full, and returns the numbers of the writes that were acknowledged."""
    acknowledged: list[int] = []
    rng = random.Random(1)  # what compresses would not fill the disk
    for number in range(400):
        try:
            await client.put(Key.of(number), number.to_bytes(2, "big") + rng.randbytes(40_000))
        except DiskFull:
            return acknowledged
        except WriteAmbiguous:
            continue
        acknowledged.append(number)
    raise AssertionError("400 writes did not fill the disk")


@pytest.mark.parametrize("reserve", ["0", "1000000"], ids=["failing-writes", "reserve"])
async def test_a_full_disk_refuses_writes_serves_reads_and_recovers(
    tmp_path: Path, small_disk: Path, reserve: str
) -> None:
    options = [
        "--data-dir",
        str(small_disk / "data"),
        "--disk-reserve-bytes",
        reserve,
        "--write-buffer-bytes",
        "1000000",
    ]
    async with (
        ProcessCluster(tmp_path, storage_options=options) as cluster,
        connect(cluster.address("storage-1"), timeout=60) as client,
    ):
        await client.put(Key.text("before"), b"v")
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(6 << 20))
        acknowledged = await fill(client)
        assert await client.get(Key.text("before"))
        ballast.unlink()

        async def writes_again() -> None:
            while True:
                try:
                    await client.put(Key.text("after"), b"v")
                except (DiskFull, NotServing, WriteAmbiguous):
                    await asyncio.sleep(0.1)
                else:
                    return

        await asyncio.wait_for(writes_again(), PATIENCE_SECONDS)
        for number in acknowledged:
            record = await client.get(Key.of(number))
            assert record is not None, f"acknowledged write {number} is lost"
            assert record.value[:2] == number.to_bytes(2, "big")
