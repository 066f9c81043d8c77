"""Which signals end a supervisor: the usual ones, but for those that whoever started it had ignored."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dstk_localcluster import ClusterDir
from dstk_localcluster.foreground import cancelled_by_signals


@pytest.fixture(params=[signal.SIGHUP, signal.SIGINT])
def ignored(request: pytest.FixtureRequest) -> Iterator[int]:
    before = signal.signal(request.param, signal.SIG_IGN)
    yield request.param
    signal.signal(request.param, before)


async def interrupted(path: Path, *numbers: int) -> bool:
    with cancelled_by_signals(ClusterDir(path)):
        for number in numbers:
            os.kill(os.getpid(), number)
        await asyncio.sleep(0.05)
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
async def test_each_of_them_ends_it_without_an_error(tmp_path: Path, number: int) -> None:
    assert await interrupted(tmp_path, number)


async def test_what_nohup_or_a_shell_ignores_stays_ignored(tmp_path: Path, ignored: int) -> None:
    assert not await interrupted(tmp_path, ignored)
    assert signal.getsignal(ignored) is signal.SIG_IGN


async def test_down_is_heard_whatever_was_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert await interrupted(tmp_path, signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_the_others_end_it_all_the_same(tmp_path: Path, ignored: int) -> None:
    assert await interrupted(tmp_path, ignored, signal.SIGTERM)
