"""One supervised process: started again whenever it dies, whatever stands in the way, and stopped even when stubborn."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dstk_cli.errors import CliError
from dstk_cli.local import child as module
from dstk_cli.local.child import Child, ChildSpec
from dstk_cli.local.environment import of_children
from dstk_cli.local.state import ChildState, Home, Phase
from dstk_service.testing import eventually

SLEEP = "import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w'); {SLEEP}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)


async def at_once() -> None:
    """Serves."""


async def until_exists(path: Path) -> None:
    await eventually(path.exists, within=60)


async def never() -> None:
    await asyncio.Event().wait()


class Nursery:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.children: list[Child] = []
        self.told: list[ChildState] = []

    def start(self, program: str, serving: Callable[[], Awaitable[None]] = at_once) -> Child:
        log = self._directory / "child.log"
        argv = (sys.executable, "-c", program)
        spec = ChildSpec("x", "", argv, log, serving, Home.of(self._directory), of_children())
        child = Child(spec, self.told.append)
        self.children.append(child)
        child.start()
        return child


@pytest.fixture
async def nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    made = Nursery(tmp_path)
    yield made
    for child in made.children:
        await child.stop(grace=5.0)


async def test_a_process_that_is_killed_is_started_again(nursery: Nursery) -> None:
    child = nursery.start(SLEEP)
    await child.until_serving()
    first = child.state.process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    await eventually(lambda: child.state.restarts == 1 and child.state.phase is Phase.SERVING)
    assert child.state.process != first
    assert child.state.last_exit == "signal 9"
    assert not first.alive


async def test_a_process_that_never_serves_is_told_of_with_its_last_words(nursery: Nursery) -> None:
    child = nursery.start("import sys; print('first'); sys.exit('port taken')", never)
    with pytest.raises(CliError, match=r"x does not start \(exit 1\): port taken") as failure:
        await asyncio.wait_for(child.until_serving(), 5)
    assert "child.log" in failure.value.hint


async def test_a_process_that_ends_by_itself_is_started_again_and_again(nursery: Nursery) -> None:
    child = nursery.start("pass")
    await eventually(lambda: child.state.restarts > 4)
    assert child.state.last_exit == "exit 0"


async def test_a_process_that_fails_to_start_for_long_serves_once_it_can(nursery: Nursery, tmp_path: Path) -> None:
    program = f"import pathlib, sys; pathlib.Path('cured').exists() or sys.exit('no space left'); {SLEEP}"
    child = nursery.start(program, lambda: until_exists(tmp_path / "cured"))
    await eventually(lambda: child.state.restarts > 4 and child.state.phase is Phase.FAILING)
    assert (child.state.last_exit, child.state.reason) == ("exit 1", "no space left")
    since = child.state.since
    (tmp_path / "cured").touch()
    await eventually(lambda: child.state.phase is Phase.SERVING, within=10)
    assert child.state.reason == ""
    assert child.state.since > since


async def test_a_system_without_room_for_a_process_is_asked_again(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn, refusals = asyncio.create_subprocess_exec, [OSError(11, "Resource temporarily unavailable"), MemoryError()]

    async def scarce(*args: Any, **kwargs: Any) -> Any:
        if refusals:
            raise refusals.pop(0)
        return await spawn(*args, **kwargs)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", scarce)
    child = nursery.start(SLEEP)
    await child.until_serving()
    assert child.state.restarts == 2
    assert any("temporarily unavailable" in state.reason for state in nursery.told)


async def test_a_check_of_health_that_fails_is_told_and_made_again(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.01)
    failures = [ValueError("no such address")]

    async def serving() -> None:
        if failures:
            raise failures.pop()

    child = nursery.start(SLEEP, serving)
    await asyncio.wait_for(child.until_serving(), 5)
    assert any("no such address" in state.reason for state in nursery.told)


async def test_a_process_whose_log_cannot_be_written_serves_without(nursery: Nursery, tmp_path: Path) -> None:
    (tmp_path / "child.log").mkdir()
    child = nursery.start(SLEEP)
    await child.until_serving()
    assert child.state.process is not None
    os.kill(child.state.process.pid, signal.SIGTERM)
    await eventually(lambda: child.state.last_exit == "signal 15")
    assert any("it had no log" in state.reason for state in nursery.told)


def replace_directory(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.mkdir()


async def test_nothing_is_started_in_a_directory_that_took_the_place_of_its_own(
    nursery: Nursery, tmp_path: Path
) -> None:
    child = nursery.start(f"open('here', 'w'); {SLEEP}")
    await eventually((tmp_path / "here").exists)
    replace_directory(tmp_path)
    assert child.state.process is not None
    os.kill(child.state.process.pid, signal.SIGKILL)
    await eventually(lambda: child.state.restarts > 2)
    assert "moved away or replaced" in child.state.reason
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - of Path it is said to block


async def test_the_reason_is_of_the_last_run_and_not_of_an_earlier_one(nursery: Nursery, tmp_path: Path) -> None:
    (tmp_path / "child.log").write_text("error: of yesterday\n")
    child = nursery.start("import sys; sys.exit(3)", never)
    with pytest.raises(CliError, match=r"x does not start \(exit 3\): it said nothing"):
        await asyncio.wait_for(child.until_serving(), 5)


async def test_a_program_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    child = Child(
        ChildSpec("x", "", ("/no/such/program",), tmp_path / "log", at_once, Home.of(tmp_path)), lambda _: None
    )
    child.start()
    with pytest.raises(CliError, match="No such file"):
        await asyncio.wait_for(child.until_serving(), 5)
    await child.stop(grace=1.0)


async def test_stop_ends_the_process_and_is_told(nursery: Nursery) -> None:
    child = nursery.start(SLEEP)
    await child.until_serving()
    process = child.state.process
    assert process is not None
    await child.stop(grace=5.0)
    assert not process.alive
    assert [state.phase for state in nursery.told[-2:]] == [Phase.STOPPING, Phase.STOPPED]


async def test_stop_kills_a_process_that_ignores_it(nursery: Nursery, tmp_path: Path) -> None:
    child = nursery.start(STUBBORN)
    await eventually((tmp_path / "ready").exists)
    process = child.state.process
    assert process is not None
    await child.stop(grace=0.1)
    assert not process.alive


async def test_stop_during_the_pause_before_a_restart_starts_nothing(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 60.0)
    child = nursery.start("pass")
    await eventually(lambda: child.state.phase is Phase.RESTARTING)
    await child.stop(grace=1.0)
    assert child.state.phase is Phase.STOPPED
    assert child.state.process is None


async def test_a_child_leads_a_session_of_its_own(nursery: Nursery) -> None:
    child = nursery.start(SLEEP)
    await child.until_serving()
    assert child.state.process is not None
    assert os.getsid(child.state.process.pid) == child.state.process.pid
