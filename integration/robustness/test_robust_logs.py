"""The log of a cluster: every line fits the registry, none has keys or values of users, and a log that hangs stops nothing."""

import asyncio
import base64
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from kit.log_lines import entries, misfits
from kit.operators import operator_at
from kit.process_cluster import ProcessCluster

from dstk_client import Client, connect
from dstk_keytypes import Key, KeyRange
from dstk_localcluster import health
from dstk_localcluster.environment import child_environment
from dstk_service.errors import DstkError
from dstk_service.testing import eventually

pytestmark = pytest.mark.slow

ODD = "0dd-k3y"
KEYS = [
    Key.text(ODD),
    Key.text(f"{ODD}-'quoted\""),
    Key.text(f"{ODD}] .. with) parentheses"),
    Key.of(ODD, "tuple", 7),
    Key(b"\xfe" + ODD.encode() + b"\xff\x00"),
]
VALUE = b"0dd-v4lue"


def forms(secret: bytes) -> set[str]:
    """How bytes would look in a text."""
    encoded = {base64.b64encode(secret[skip:]).decode().strip("=")[1:-1] for skip in range(3)}
    return {secret.decode(), secret.hex(), *encoded}


SECRETS = forms(ODD.encode()) | forms(VALUE)


async def use(client: Client) -> None:
    """Writes, reads, and makes the mistakes that callers make."""
    for key in KEYS:
        await client.put(key, VALUE)
        assert await client.get(key) is not None
        with pytest.raises(DstkError):
            await client.put(key, VALUE, if_etag=1 << 60)
        with pytest.raises(DstkError):
            await client.put(Key.text(ODD * 1000), VALUE)
    assert [record async for record in client.scan(KeyRange())]
    assert await client.delete(KEYS[-1])


async def fail_over(cluster: ProcessCluster, router: Client) -> None:
    """Kills the primary of a partition that starts at an odd key, and starts it again."""
    async with operator_at(cluster.address("router")) as operator:
        await operator.split(KEYS[0])
        await operator.split(KEYS[3])
        primary = await operator.primary_of(KEYS[0])
        cluster.kill(primary)

        async def writes_go_on() -> bool:
            try:
                await router.put(KEYS[0], VALUE)
            except DstkError:
                return False
            return True

        await eventually(writes_go_on, within=20)
        await cluster.start(primary)
        with pytest.raises(DstkError):
            await operator.merge(KEYS[1])


async def test_every_line_fits_and_none_has_a_key_or_a_value(tmp_path: Path) -> None:
    options = ("--log-level", "debug")
    made = ProcessCluster(
        tmp_path, nodes=3, splits=[ODD[:3]], router=True, storage_options=options, router_options=options
    )
    async with made as cluster:
        async with connect(cluster.address("storage-1"), timeout=10) as client:
            await use(client)
        async with connect(cluster.address("router"), timeout=10) as router:
            await use(router)
            await fail_over(cluster, router)
        for name in cluster.names:
            assert await cluster.stop(name) == 0
    lines = [(name, entry) for name in cluster.speakers for entry in entries(cluster.log(name))]
    assert not [(name, entry, wrong) for name, entry in lines for wrong in misfits(entry)]
    seen = {entry.get("event.action") for _, entry in lines}
    assert seen >= {
        "split",
        "failover",
        "out_of_sync",
        "primary_serving",
        "node_left",
        "node_joined",
        "service_stopped",
    }
    for name in cluster.speakers:
        assert not [(name, secret) for secret in SECRETS if secret in cluster.log(name)]


async def test_a_setting_shows_keys_and_never_values(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path, storage_options=("--log-keys",)) as cluster:
        async with connect(cluster.address("storage-1"), timeout=10) as client:
            await client.put(KEYS[0], VALUE)
        async with operator_at(cluster.address("storage-1")) as operator:
            await operator.split(KEYS[0])
        log = cluster.log("storage-1")
        assert f"[{ODD} .. last)" in log
        assert VALUE.decode() not in log
        assert not [wrong for entry in entries(log) for wrong in misfits(entry)]


@contextmanager
def full_pipe() -> Iterator[int]:
    """A pipe into which not one more byte goes, and which no one reads."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(write, bytes(size))
    os.set_blocking(write, True)
    yield write
    os.close(write)
    os.close(read)


@contextmanager
def closed_pipe() -> Iterator[int]:
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@contextmanager
def full_disk() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("broken", [full_pipe, closed_pipe, full_disk], ids=lambda broken: broken.__name__)
async def test_a_log_that_cannot_be_written_stops_and_slows_nothing(
    tmp_path: Path, broken: Callable[[], AbstractContextManager[int]]
) -> None:
    """Each change of a setting writes a line that is never throttled."""
    async with ProcessCluster(tmp_path) as cluster:
        assert await cluster.stop("storage-1") == 0
        argv = cluster.argv("storage-1", "--log-level", "debug")
        with broken() as descriptor:
            node = await asyncio.to_thread(subprocess.Popen, argv, stderr=descriptor, env=child_environment())
            try:
                await health.until_serving(cluster.address("storage-1"))
                async with (
                    operator_at(cluster.address("storage-1")) as operator,
                    connect(cluster.address("storage-1"), timeout=5) as client,
                ):
                    for number in range(40):
                        await operator.pause_controller(paused=bool(number % 2))
                        await client.put(KEYS[0], VALUE)
            finally:
                node.terminate()
                begun = time.monotonic()
                code = await asyncio.to_thread(node.wait, 30)
            assert code == 0
            assert time.monotonic() - begun < 15
