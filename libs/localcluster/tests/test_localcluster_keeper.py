"""One supervised process: restarted whenever it dies, whatever fails, and stopped even when it ignores SIGTERM."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dstk_localcluster import LocalClusterError, Phase, ProcessState
from dstk_localcluster import keeper as module
from dstk_localcluster.keeper import ProcessKeeper
from dstk_localcluster.programs import Program
from dstk_localcluster.state import DirectoryId
from dstk_service.backoff import Backoff
from dstk_service.testing import eventually

SLEEP = "import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w'); {SLEEP}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF", Backoff(first=0.01, longest=5.0))


async def serves_at_once() -> None:
    """Serves."""


async def until_exists(path: Path) -> None:
    await eventually(path.exists)


async def never() -> None:
    await asyncio.Event().wait()


class Keepers:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.all: list[ProcessKeeper] = []
        self.reported: list[ProcessState] = []

    def start(self, program: str, serving: Callable[[], Awaitable[None]] = serves_at_once) -> ProcessKeeper:
        log = self._directory / "child.log"
        started = Program("x", "", (sys.executable,), ("-c", program), log)
        keeper = ProcessKeeper(started, DirectoryId.of(self._directory), serving, self.reported.append)
        self.all.append(keeper)
        keeper.start()
        return keeper


@pytest.fixture
async def keepers(tmp_path: Path) -> AsyncIterator[Keepers]:
    made = Keepers(tmp_path)
    yield made
    for keeper in made.all:
        await keeper.stop(grace=5.0)


async def test_a_process_that_is_killed_is_started_again(keepers: Keepers) -> None:
    keeper = keepers.start(SLEEP)
    await keeper.until_serving()
    first = keeper.state.process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    await eventually(lambda: keeper.state.restarts == 1 and keeper.state.phase is Phase.SERVING)
    assert keeper.state.process != first
    assert keeper.state.last_exit == "signal 9"
    assert not first.alive


async def test_a_process_that_never_serves_is_told_of_with_its_last_words(keepers: Keepers) -> None:
    keeper = keepers.start("import sys; print('first'); sys.exit('port taken')", never)
    with pytest.raises(LocalClusterError, match=r"x does not start \(exit 1\): port taken") as failure:
        await asyncio.wait_for(keeper.until_serving(), 60)
    assert "child.log" in failure.value.hint


async def test_a_process_that_ends_by_itself_is_started_again_and_again(keepers: Keepers) -> None:
    keeper = keepers.start("pass")
    await eventually(lambda: keeper.state.restarts > 4)
    assert keeper.state.last_exit == "exit 0"


async def test_a_process_that_fails_to_start_for_long_serves_once_it_can(keepers: Keepers, tmp_path: Path) -> None:
    program = f"import pathlib, sys; pathlib.Path('cured').exists() or sys.exit('no space left'); {SLEEP}"
    keeper = keepers.start(program, lambda: until_exists(tmp_path / "cured"))
    await eventually(lambda: keeper.state.restarts > 4 and keeper.state.phase is Phase.FAILING)
    assert (keeper.state.last_exit, keeper.state.reason) == ("exit 1", "no space left")
    since = keeper.state.since
    (tmp_path / "cured").touch()
    await eventually(lambda: keeper.state.phase is Phase.SERVING)
    assert keeper.state.reason == ""
    assert keeper.state.since > since


async def test_a_system_without_room_for_a_process_is_asked_again(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn, refusals = module.spawn, [OSError(11, "Resource temporarily unavailable"), MemoryError()]

    def scarce(*args: Any) -> Any:
        if refusals:
            raise refusals.pop(0)
        return spawn(*args)

    monkeypatch.setattr(module, "spawn", scarce)
    keeper = keepers.start(SLEEP)
    await keeper.until_serving()
    assert keeper.state.restarts == 2
    assert any("temporarily unavailable" in state.reason for state in keepers.reported)


async def test_a_check_of_health_that_fails_is_told_and_made_again(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACKOFF", Backoff(first=0.01, longest=0.01))
    failures = [ValueError("no such address")]

    async def serving() -> None:
        if failures:
            raise failures.pop()

    keeper = keepers.start(SLEEP, serving)
    await asyncio.wait_for(keeper.until_serving(), 60)
    assert any("no such address" in state.reason for state in keepers.reported)


async def test_a_process_whose_log_cannot_be_written_serves_without(keepers: Keepers, tmp_path: Path) -> None:
    (tmp_path / "child.log").mkdir()
    keeper = keepers.start(SLEEP)
    await keeper.until_serving()
    assert keeper.state.process is not None
    os.kill(keeper.state.process.pid, signal.SIGTERM)
    await eventually(lambda: keeper.state.last_exit == "signal 15")
    assert any("it had no log" in state.reason for state in keepers.reported)


def replace_directory(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.mkdir()


async def test_nothing_is_started_in_a_directory_that_took_the_place_of_its_own(
    keepers: Keepers, tmp_path: Path
) -> None:
    keeper = keepers.start(f"open('here', 'w'); {SLEEP}")
    await eventually((tmp_path / "here").exists)
    replace_directory(tmp_path)
    assert keeper.state.process is not None
    os.kill(keeper.state.process.pid, signal.SIGKILL)
    await eventually(lambda: keeper.state.restarts > 2)
    assert "moved away or replaced" in keeper.state.reason
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - of Path it is said to block


async def test_the_reason_is_of_the_last_run_and_not_of_an_earlier_one(keepers: Keepers, tmp_path: Path) -> None:
    (tmp_path / "child.log").write_text("error: of yesterday\n")
    keeper = keepers.start("import sys; sys.exit(3)", never)
    with pytest.raises(LocalClusterError, match=r"x does not start \(exit 3\): it logged nothing"):
        await asyncio.wait_for(keeper.until_serving(), 60)


async def test_a_program_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    program = Program("x", "", ("/no/such/program",), (), tmp_path / "log")
    keeper = ProcessKeeper(program, DirectoryId.of(tmp_path), serves_at_once, lambda _: None)
    keeper.start()
    with pytest.raises(LocalClusterError, match="No such file"):
        await asyncio.wait_for(keeper.until_serving(), 60)
    await keeper.stop(grace=1.0)


async def test_stop_ends_the_process_and_is_told(keepers: Keepers) -> None:
    keeper = keepers.start(SLEEP)
    await keeper.until_serving()
    process = keeper.state.process
    assert process is not None
    await keeper.stop(grace=5.0)
    assert not process.alive
    assert [state.phase for state in keepers.reported[-2:]] == [Phase.STOPPING, Phase.STOPPED]


async def test_stop_kills_a_process_that_ignores_it(keepers: Keepers, tmp_path: Path) -> None:
    keeper = keepers.start(STUBBORN)
    await eventually((tmp_path / "ready").exists)
    process = keeper.state.process
    assert process is not None
    await keeper.stop(grace=0.1)
    assert not process.alive


async def test_stop_during_the_pause_before_a_restart_starts_nothing(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACKOFF", Backoff(first=60.0, longest=60.0))
    keeper = keepers.start("pass")
    await eventually(lambda: keeper.state.phase is Phase.RESTARTING)
    await keeper.stop(grace=1.0)
    assert keeper.state.phase is Phase.STOPPED
    assert keeper.state.process is None


async def test_a_child_leads_a_session_of_its_own(keepers: Keepers) -> None:
    keeper = keepers.start(SLEEP)
    await keeper.until_serving()
    assert keeper.state.process is not None
    assert os.getsid(keeper.state.process.pid) == keeper.state.process.pid
