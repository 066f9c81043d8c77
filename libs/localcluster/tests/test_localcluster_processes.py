"""Processes and states that are remembered across restarts; ports; what is told about changes."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dstk_localcluster import ClusterState, Phase, ProcessState, directory, ports, state_file
from dstk_localcluster.changes import ChangeDescriber
from dstk_localcluster.processes import ProcessRef, end_all
from dstk_localcluster.state import DirectoryId

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)",
]


def test_a_process_is_recognised_until_it_ends() -> None:
    child = subprocess.Popen(SLEEPER)
    try:
        ref = ProcessRef.of(child.pid)
        assert ref is not None
        assert ref.alive
    finally:
        child.kill()
    child.wait()
    assert not ref.alive
    assert ProcessRef.of(child.pid) is None


def test_a_dead_process_that_nobody_has_waited_for_is_not_alive() -> None:
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    ref = ProcessRef.of(child.pid)
    assert ref is not None
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not ref.alive
    child.wait()


def test_an_id_that_was_given_away_again_is_not_mistaken() -> None:
    own = ProcessRef.own()
    other = replace(own, created=own.created - 60)
    assert own.alive
    assert not other.alive
    assert end_all([other], grace=0.1) == []


def test_a_process_is_recognised_after_the_clock_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ProcessRef.own()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: own.created + 3600)
    assert own.alive
    assert not replace(own, boot="another").alive


def test_a_log_that_has_grown_long_is_set_aside_before_a_process_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "MAX_LOG_BYTES", 3)
    log, earlier = tmp_path / "x.log", tmp_path / "x.log.1"
    for text, aside in (("abc", None), ("abcd", "abcd"), ("efgh", "efgh")):
        log.write_text(text)
        directory.rotate_log(log)
        assert (earlier.read_text() if earlier.exists() else None) == aside
        assert log.exists() == (aside is None)
    directory.rotate_log(tmp_path / "none.log")


def test_a_process_that_fails_for_the_same_reason_all_the_time_is_told_of_once() -> None:
    changes, child = (
        ChangeDescriber(),
        ProcessState("x", "", "x.log", Phase.FAILING, None, restarts=3, last_exit="exit 1", reason="a"),
    )
    assert len(changes.since_last(running(child))) == 2
    started = replace(child, process=ProcessRef(7, 1.0))
    assert changes.since_last(running(started)) == []
    assert changes.since_last(running(replace(child, restarts=4))) == []
    assert len(changes.since_last(running(replace(child, restarts=5, reason="b")))) == 1


def test_a_stubborn_process_is_killed() -> None:
    child = subprocess.Popen(STUBBORN, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    ref = ProcessRef.of(child.pid)
    assert ref is not None
    assert end_all([ref], grace=0.2) == [ref]
    assert not ref.alive
    child.wait()
    child.stdout.close()
    child.stdout.close()


def running(*children: ProcessState) -> ClusterState:
    return ClusterState(DirectoryId("", 0, 0), ProcessRef(1, 2.5), Phase.STARTING, "127.0.0.1:7000", 1.5, children)


def test_a_state_survives_its_file(tmp_path: Path) -> None:
    child = ProcessState("etcd", "127.0.0.1:1", "etcd.log", Phase.SERVING, ProcessRef(3, 4.5), 5.5, 1, "exit 1")
    written = replace(running(child), directory=DirectoryId.of(tmp_path))
    state_file.save(tmp_path / "run.json", written)
    assert state_file.load(tmp_path / "run.json") == written


@pytest.mark.parametrize("text", ["", "{}", "null", '{"format": 1, "processes": 3}', '{"format": 2}'])
def test_an_unreadable_state_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    assert state_file.load(tmp_path / "run.json") is None


def test_processes_are_stopped_in_the_reverse_order_of_their_start() -> None:
    first, second = ProcessRef(1, 1.0), ProcessRef(2, 2.0)
    children = [
        ProcessState("etcd", "", "", process=first),
        ProcessState("x", "", ""),
        ProcessState("y", "", "", process=second),
    ]
    assert running(*children).running() == [second, first]


def test_a_picked_port_is_free_until_somebody_listens() -> None:
    port = ports.pick()
    assert ports.is_free(port)
    with socket.create_server((ports.HOST, port)):
        assert not ports.is_free(port)


def test_a_death_and_a_recovery_are_told_once_each() -> None:
    changes, child = (
        ChangeDescriber(),
        ProcessState("storage-1", "127.0.0.1:1", "s.log", Phase.SERVING, ProcessRef(7, 1.0)),
    )
    dead = replace(child, phase=Phase.RESTARTING, process=None, restarts=1, last_exit="signal 9", reason="killed")
    back = replace(dead, phase=Phase.SERVING, process=ProcessRef(8, 2.0))
    assert changes.since_last(running(child)) == ["storage-1 serves on 127.0.0.1:1, pid 7", "cluster starting"]
    assert changes.since_last(running(child)) == []
    assert changes.since_last(running(dead)) == ["storage-1 died (signal 9: killed) and is restarted, log s.log"]
    assert changes.since_last(running(back)) == ["storage-1 serves again, restart 1 on 127.0.0.1:1, pid 8"]
