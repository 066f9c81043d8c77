"""A real local cluster of real processes: up, status, down, and kill -9 of a node and of the supervisor."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dstk_cli.local import state
from dstk_cli.local.processes import ProcessRef
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli-local-cluster")]


class Local:
    """Runs `dstk` on one data directory, each call a process of its own, as a person would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._environment = {**os.environ, "DSTK_DATA_DIR": str(directory), "COLUMNS": "200"}
        self._environment.pop("DSTK_ROUTER", None)

    def __call__(self, *arguments: str, expect: int | None = 0) -> str:
        argv = [sys.executable, "-m", "dstk_cli", *arguments]
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, timeout=90, check=False)
        assert expect is None or done.returncode == expect, done.stdout + done.stderr + self.logs()
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def foreground(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "dstk_cli", "local", "up", "--nodes", "1"]
        return subprocess.Popen(argv, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def status(self) -> dict[str, Any]:
        return json.loads(self("local", "status", "--output", "json", expect=None).splitlines()[0])

    def process(self, name: str) -> ProcessRef:
        running = state.load(self.directory / "run.json")
        assert running is not None
        found = next(child.process for child in running.children if child.name == name)
        assert found is not None
        return found

    def processes(self) -> list[ProcessRef]:
        running = state.load(self.directory / "run.json")
        return [running.supervisor, *running.processes()] if running else []

    async def kill_supervisor(self) -> list[ProcessRef]:
        supervisor, *orphans = self.processes()
        os.kill(supervisor.pid, signal.SIGKILL)
        await eventually(lambda: not supervisor.alive)
        assert all(process.alive for process in orphans)
        return orphans

    def logs(self) -> str:
        return "".join(f"\n{path.name}: {path.read_text()[-2000:]}" for path in self.directory.glob("logs/*"))


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    made = Local(tmp_path / "cluster")
    yield made
    made("local", "down", expect=None)
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])]


def test_a_cluster_keeps_its_ports_and_data_from_up_to_up(local: Local) -> None:
    assert "storage-2" in local("local", "up", "--detach", "--nodes", "2")
    local("put", "hello", "world")
    first = local.status()
    assert (first["state"], first["supervised"], len(first["processes"])) == ("serving", True, 4)
    assert "up already" in local("local", "up", "--nodes", "2")
    assert "not 3" in local("local", "up", "--nodes", "3", expect=1)
    processes = local.processes()
    local("local", "down")
    assert not any(process.alive for process in processes)
    local("local", "status", expect=3)
    assert "nothing to stop" in local("local", "down")
    local("local", "up", "--detach")
    again = local.status()
    assert [child["address"] for child in again["processes"]] == [child["address"] for child in first["processes"]]
    assert '"value": "world"' in local("get", "hello", "--output", "json")


async def test_a_storage_process_that_is_killed_comes_back_by_itself(local: Local) -> None:
    local("local", "up", "--detach", "--nodes", "1")
    local("put", "hello", "world")
    killed = local.process("storage-1")
    os.kill(killed.pid, signal.SIGKILL)

    def back() -> bool:
        child = local.status()["processes"][1]
        return bool(child["restarts"] == 1 and child["state"] == "serving" and child["last_exit"] == "signal 9")

    await eventually(back, within=30)
    assert '"value": "world"' in local("get", "hello", "--output", "json", "--timeout", "20")


async def test_what_a_killed_supervisor_left_behind_is_cleaned_up(local: Local) -> None:
    local("local", "up", "--detach", "--nodes", "1")
    local("put", "hello", "world")
    orphans = await local.kill_supervisor()
    assert "the supervisor is gone" in local("local", "status", expect=1)
    local("local", "up", "--detach")
    assert not any(process.alive for process in orphans)
    assert '"value": "world"' in local("get", "hello", "--output", "json")
    orphans = await local.kill_supervisor()
    assert "ended what it left: etcd, storage-1, router" in local("local", "down")
    assert not any(process.alive for process in orphans)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_a_foreground_cluster_in_order(local: Local, number: signal.Signals) -> None:
    with local.foreground() as up:
        await eventually(
            lambda: (running := state.load(local.directory / "run.json")) and running.phase == "serving", within=60
        )
        children = local.processes()[1:]
        up.send_signal(number)
        assert up.wait(timeout=60) == 0
    assert not any(process.alive for process in children)
    assert not (local.directory / "run.json").exists()
