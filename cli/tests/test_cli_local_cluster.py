"""A real local cluster of real processes: up, status, down, and kill -9 of a node and of the supervisor."""

import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.dstk_local import DstkLocal
from kit.ports import free_port

from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[DstkLocal]:
    made = DstkLocal(tmp_path / "cluster")
    yield made
    made.end()


def test_a_cluster_keeps_its_ports_and_data_from_up_to_up(local: DstkLocal) -> None:
    assert "storage-2" in local("local", "up", "--detach", "--nodes", "2")
    local("put", "hello", "world")
    first = local.status()
    assert (first["state"], first["supervised"], len(first["processes"])) == ("serving", True, 5)
    assert "up already" in local("local", "up", "--nodes", "2")
    assert "not 3" in local("local", "up", "--nodes", "3", expect=1)
    assert "runs without Prometheus" in local("local", "up", "--observability", expect=1)
    assert "storage-2 info    serving action=service_started" in local("local", "logs", "--events")
    assert "there is no process 'storage-3'" in local("local", "logs", "storage-3", expect=1)
    processes = local.processes()
    local("local", "down")
    assert not any(process.alive for process in processes)
    local("local", "status", expect=3)
    assert "nothing to stop" in local("local", "down")
    local("local", "up", "--detach")
    again = local.status()
    assert [child["address"] for child in again["processes"]] == [child["address"] for child in first["processes"]]
    assert '"value": "world"' in local("get", "hello", "--output", "json")


def test_up_ends_with_the_address_of_the_console_and_keeps_it(local: DstkLocal) -> None:
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    up = local("local", "up", "--detach", "--nodes", "1", "--console-port", str(port))
    assert up.splitlines()[-1] == f"console  {page}"
    with urllib.request.urlopen(page, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/html")
    assert f"console {page}" in local("local", "status")
    assert f"its console listens on {port}, not 1" in local("local", "up", "--console-port", "1", expect=1)
    local("local", "down")
    assert (local.directory / "metrics" / "history.sqlite").stat().st_size
    assert local("local", "up", "--detach").splitlines()[-1] == f"console  {page}"


def test_a_cluster_whose_metrics_service_does_not_start_serves_and_says_so(local: DstkLocal) -> None:
    wrong = {"DSTK_FEED_SECONDS": "0"}  # which no other service reads
    broken = DstkLocal(local.directory, environment=wrong)
    up = broken("local", "up", "--detach", "--nodes", "1")
    assert "warning: metrics is failing" in up
    assert "--feed-seconds (or DSTK_FEED_SECONDS) is '0'" in up
    broken("put", "hello", "world")
    assert "cluster degraded" in broken("local", "status", expect=1)
    assert broken.child("metrics")["reason"].startswith("--feed-seconds")
    broken("local", "down")
    assert "warning" not in local("local", "up", "--detach")
    assert local.status()["state"] == "serving"
    assert "world" in local("get", "hello")


async def test_a_storage_process_that_is_killed_comes_back_by_itself(local: DstkLocal) -> None:
    local("local", "up", "--detach", "--nodes", "1")
    local("put", "hello", "world")
    killed = local.process("storage-1")
    os.kill(killed.pid, signal.SIGKILL)

    def back() -> bool:
        child = local.status()["processes"][1]
        return bool(child["restarts"] == 1 and child["state"] == "serving" and child["last_exit"] == "signal 9")

    await eventually(back)
    assert '"value": "world"' in local("get", "hello", "--output", "json", "--timeout", "60")


async def test_what_a_killed_supervisor_left_behind_is_cleaned_up(local: DstkLocal) -> None:
    local("local", "up", "--detach", "--nodes", "1")
    local("put", "hello", "world")
    orphans = await local.kill_supervisor()
    assert "the supervisor is gone" in local("local", "status", expect=1)
    local("local", "up", "--detach")
    assert not any(process.alive for process in orphans)
    assert '"value": "world"' in local("get", "hello", "--output", "json")
    orphans = await local.kill_supervisor()
    assert "ended the processes that it left: etcd, storage-1, router, metrics" in local("local", "down")
    assert not any(process.alive for process in orphans)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_a_foreground_cluster_in_order(local: DstkLocal, number: signal.Signals) -> None:
    with local.start("local", "up", "--nodes", "1") as up:
        await eventually(lambda: (running := local.running) and running.phase == "serving", within=120)
        children = local.processes()[1:]
        up.send_signal(number)
        assert up.wait(timeout=120) == 0
    assert not any(process.alive for process in children)
    assert not (local.directory / "run.json").exists()
