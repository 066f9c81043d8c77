"""What `dstk local` makes of what is done to it and to its directory: copied, damaged, taken away, full, read-only, killed."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from kit import disks
from kit.dstk_local import DstkLocal
from kit.etcd import running_etcd

from dstk_localcluster.processes import ProcessRef
from dstk_service import python
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DstkLocal]:
    """Two nodes with a record, which run all the time; nothing that is done to the copy of their directory disturbs them."""
    made = DstkLocal(tmp_path_factory.mktemp("original") / "c")
    made("local", "up", "--detach", "--nodes", "2")
    made("put", "hello", "original")
    before = made.processes()
    yield made
    assert made.processes() == before
    assert all(process.alive for process in before)
    made.end()


@pytest.fixture(scope="module")
def copy(original: DstkLocal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DstkLocal]:
    """Made while the original runs, run.json included."""
    made = DstkLocal(tmp_path_factory.mktemp("copy") / "c")
    shutil.copytree(original.directory, made.directory)
    yield made
    made.end()


def test_a_copy_of_a_running_directory_is_not_up(original: DstkLocal, copy: DstkLocal) -> None:
    assert (copy.directory / "run.json").exists()
    assert "no cluster is up" in copy("local", "status", expect=3)
    assert "no cluster is up" in copy("get", "hello", expect=3)
    assert "nothing to stop" in copy("local", "down")
    assert original("get", "hello")


def test_records_without_their_etcd_are_refused_and_nothing_is_touched(copy: DstkLocal) -> None:
    etcd, aside = copy.directory / "etcd", copy.directory / "aside"
    etcd.rename(aside)
    said = copy("local", "up", "--detach", expect=1)
    assert said.splitlines()[0].startswith(f"error: {etcd} is gone or empty, and storage-1, storage-2 hold records")
    assert "put that directory back" in said
    assert not etcd.exists()
    aside.rename(etcd)


async def test_a_node_that_does_not_start_leaves_the_others_up_and_comes_back_by_itself(copy: DstkLocal) -> None:
    with (copy.directory / "storage-1" / "LOCK").open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        up = copy("local", "up", "--detach")
        assert "warning: storage-1 is failing" in up
        assert "is in use by another storage node" in up
        await eventually(lambda: tells_of_a_lock(copy))
        copy("put", "other", "x", "--timeout", "60")
    await eventually(lambda: copy.status()["state"] == "serving" and copy.child("storage-1")["reason"] == "")


def tells_of_a_lock(copy: DstkLocal) -> bool:
    """What `dstk local status` says of storage-1, which does not start. In between, it is started again."""
    status, child = copy("local", "status", expect=1), copy.child("storage-1")
    assert "cluster degraded" in status
    assert (child["state"], child["last_exit"]) == ("failing", "exit 1")
    assert "in use by another" in child["reason"]
    return bool(child["since"] <= time.time())


async def test_a_cluster_whose_lock_and_run_file_are_removed_is_still_the_only_one(copy: DstkLocal) -> None:
    processes = copy.processes()
    (copy.directory / "supervisor.lock").unlink()
    assert "up already" in copy("local", "up", "--detach")
    (copy.directory / "run.json").unlink()
    await eventually(lambda: copy.processes() == processes)
    assert copy.status()["supervised"]


async def test_a_cluster_whose_directory_is_taken_away_stops(copy: DstkLocal) -> None:
    processes = copy.processes()
    assert processes
    moved = copy.directory.rename(copy.directory.with_name("moved"))
    copy.directory.mkdir()
    await eventually(lambda: not any(process.alive for process in processes))
    assert list(copy.directory.iterdir()) == [], "nothing is written into what took its place"
    assert "removed, moved away or replaced" in (moved / "logs" / "supervisor.log").read_text()


def test_a_run_file_of_processes_whose_ids_are_others_by_now_ends_none_of_them(tmp_path: Path) -> None:
    made = DstkLocal(tmp_path / "c")
    home = made.directory
    home.mkdir()
    with subprocess.Popen(["sleep", "60"]) as other:
        now = ProcessRef.of(other.pid)
        assert now is not None
        process = asdict(replace(now, created=now.created - 100))
        child = {"name": "etcd", "address": "", "log": "", "phase": "serving", "process": process}
        found = home.stat()
        run = {
            "format": 1,
            "directory": {"path": str(home), "device": found.st_dev, "inode": found.st_ino},
            "supervisor": process,
            "phase": "serving",
            "router": "",
            "started_at": 0,
            "processes": [child],
        }
        (home / "run.json").write_text(json.dumps(run))
        assert "the supervisor is gone" in made("local", "status", expect=1)
        assert "stopped" in made("local", "down")
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("text", ["", "null", "{", '{"format": 1, "directory": 3}', "\x00" * 4096, "[" * 100_000])
def test_an_unreadable_run_file_is_none(tmp_path: Path, text: str) -> None:
    made = DstkLocal(tmp_path / "c")
    made.directory.mkdir()
    (made.directory / "run.json").write_text(text)
    made("local", "status", expect=3)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[tuple[DstkLocal, disks.Disk]]:
    """One node, in a file system of its own."""
    place = tmp_path / "disk"
    if not disks.are_possible(place):
        pytest.skip("this machine lets us mount nothing")
    environment = {"DSTK_DISK_RESERVE_BYTES": "0"}
    prefix = disks.with_own_disk(place, 320 << 20)
    outside = DstkLocal(place / "c", prefix=prefix, environment=environment)
    with outside.start("local", "up", "--nodes", "1") as up:
        user = ("--user",) if os.geteuid() else ()
        within = ("nsenter", "--target", str(up.pid), "--mount", *user, "--preserve-credentials", "--")
        yield DstkLocal(place / "c", prefix=within, environment=environment), disks.Disk(up.pid, place)
        up.send_signal(signal.SIGTERM)
        assert up.wait(120) == 0


def tells_of_a_full_disk(local: DstkLocal) -> bool:
    """What `dstk local status` tells while the node is started in vain. For a moment, it may get as far as serving."""
    child, status = local.child("storage-1"), local("local", "status", expect=1)
    told = "cluster degraded" in status and "storage-1 is failing, not serving for" in status
    return told and child["state"] == "failing" and "No space left" in child["reason"]


async def test_a_node_killed_while_its_disk_is_full_serves_once_there_is_room(
    full: tuple[DstkLocal, disks.Disk],
) -> None:
    local, disk = full
    await eventually(lambda: "cluster serving" in local("local", "status", expect=None))
    local("put", "hello", "world")
    pids = {child["name"]: child["pid"] for child in local.status()["processes"]}
    disk.fill()
    os.kill(pids["storage-1"], signal.SIGKILL)
    await eventually(lambda: local.child("storage-1")["restarts"] >= 3, within=120)
    await eventually(lambda: tells_of_a_full_disk(local))
    disk.make_room()
    await eventually(lambda: local.status()["state"] == "serving", within=120)
    assert '"value": "world"' in local("get", "hello", "--output", "json", "--timeout", "60")


NOT_ROOT = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


def test_where_nothing_may_be_written_that_is_told(tmp_path: Path) -> None:
    place = tmp_path / "read-only"
    place.mkdir(mode=0o555)
    prefix = NOT_ROOT if os.geteuid() == 0 else ()
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets root be nobody else")
    made = DstkLocal(place / "c", prefix=prefix)
    assert f"error: {place / 'c'}: Permission denied" in made("local", "up", "--detach", expect=1)
    made("local", "status", expect=3)
    assert "nothing to stop" in made("local", "down")


@pytest.mark.parametrize("kind", ["file", "fifo"])
def test_what_is_no_directory_is_told(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "c"
    os.mkfifo(place) if kind == "fifo" else place.touch()
    made = DstkLocal(place)
    said = " ".join(made("local", "up", "--detach", expect=None).split())
    assert "is not a directory" in said or "is a file" in said


def test_a_current_directory_that_is_no_more_is_told(tmp_path: Path) -> None:
    script = f'mkdir {tmp_path}/gone && cd {tmp_path}/gone && rmdir {tmp_path}/gone && exec "$0" "$@"'
    made = DstkLocal(Path("relative"), prefix=("sh", "-c", script))
    assert "the current directory does not exist any more" in made("local", "up", "--detach", expect=1)
    whole = DstkLocal(tmp_path / "c", prefix=("sh", "-c", script))
    assert "no cluster is up" in whole("local", "status", expect=3)


async def test_down_while_a_cluster_starts_stops_it_and_the_start_says_so(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "etcd").write_text(
        "#!/bin/sh\nexec sleep 600\n"
    )  # it never serves, so that the cluster goes on starting
    (programs / "etcd").chmod(0o755)
    made = DstkLocal(tmp_path / "c", environment={"PATH": f"{programs}:{os.environ['PATH']}"})
    with made.start("local", "up", "--detach", "--nodes", "1") as up:
        await eventually(lambda: made.running is not None and len(made.processes()) > 1)
        assert "just starting" in made("local", "up", "--detach", expect=1)
        assert "stopped" in made("local", "down")
        assert up.wait(60) == 1
        assert up.stderr is not None
        assert b"it was stopped before everything served" in up.stderr.read()
    made.end()


def test_what_a_node_ends_for_is_the_last_that_it_says(tmp_path: Path) -> None:
    listen = ("--listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0")
    node = (*python.command("dstk_storage"), "--data-dir", str(tmp_path / "node"), *listen)
    with running_etcd() as first, running_etcd() as second:
        with subprocess.Popen([*node, "--etcd", first, "--bootstrap-expect", "1"], stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            assert any(b'"serving"' in line for line in process.stderr), "it belongs to the first from now on"
            process.kill()
        ended = subprocess.run([*node, "--etcd", second], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("error: data directory")
    assert "Exception ignored" not in ended.stderr
