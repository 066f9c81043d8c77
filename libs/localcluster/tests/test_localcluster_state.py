"""run.json: believed where it was written, written where there is room for nothing else, and no reason to stop."""

import asyncio
import errno
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dstk_localcluster import ClusterDir, ClusterState, Phase, ProcessState, publisher, state_file
from dstk_localcluster.ownership import end_orphans
from dstk_localcluster.processes import ProcessRef
from dstk_localcluster.publisher import StatePublisher
from dstk_localcluster.state import DirectoryId
from dstk_service.testing import eventually

SERVING = ProcessState("storage-1", "127.0.0.1:1", "s.log", Phase.SERVING, ProcessRef.own())
FAILING = ProcessState("storage-2", "127.0.0.1:2", "t.log", Phase.FAILING, None, 0, 7, "exit 1", 100.0, "disk full")


def written(directory: Path, *children: ProcessState) -> ClusterState:
    return ClusterState(
        DirectoryId.of(directory), ProcessRef.own(), Phase.SERVING, "127.0.0.1:7000", 1.5, children or (SERVING,)
    )


def test_a_copy_speaks_of_another_directory_and_is_not_believed(tmp_path: Path) -> None:
    original = tmp_path / "l1"
    original.mkdir()
    state_file.save(original / "run.json", written(original))
    shutil.copytree(original, tmp_path / "l3")
    assert state_file.load(original / "run.json") is not None
    assert state_file.load(tmp_path / "l3" / "run.json") is None
    assert end_orphans(ClusterDir(tmp_path / "l3")) == [], "or this very process would be ended"
    assert not (tmp_path / "l3" / "run.json").exists()


@pytest.mark.parametrize("change", [{"path": "/elsewhere"}, {"device": -1}, {"inode": -1}])
def test_path_device_and_inode_must_all_fit(tmp_path: Path, change: dict[str, object]) -> None:
    other = written(tmp_path)
    state_file.save(tmp_path / "run.json", other)
    text = (tmp_path / "run.json").read_text()
    name, value = next(iter(change.items()))
    now = getattr(other.directory, name)
    (tmp_path / "run.json").write_text(text.replace(repr(now).replace("'", '"'), repr(value).replace("'", '"'), 1))
    assert state_file.load(tmp_path / "run.json") is None


def test_a_directory_reached_by_a_link_is_the_same_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    state_file.save(tmp_path / "link" / "run.json", written(tmp_path / "real"))
    assert state_file.load(tmp_path / "link" / "run.json") == written(tmp_path / "real")


def test_nothing_is_written_into_a_directory_that_took_the_place_of_ours(tmp_path: Path) -> None:
    place = tmp_path / "l1"
    place.mkdir()
    ours = written(place)
    place.rename(tmp_path / "moved")
    place.mkdir()
    with pytest.raises(FileNotFoundError, match="removed, moved away or replaced"):
        state_file.save(place / "run.json", ours)
    assert list(place.iterdir()) == []


def no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_where_no_file_can_be_made_the_present_one_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_file.save(tmp_path / "run.json", written(tmp_path))
    size = (tmp_path / "run.json").stat().st_size
    monkeypatch.setattr(state_file, "write_atomic", no_room)
    longer = written(tmp_path, SERVING, replace(FAILING, reason="x" * 2000))
    state_file.save(tmp_path / "run.json", longer)
    assert state_file.load(tmp_path / "run.json") == longer
    assert (tmp_path / "run.json").stat().st_size == size, "or it would have needed room"


async def test_what_cannot_be_written_is_told_and_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "_RETRY_S", 0.01)
    monkeypatch.setattr(state_file, "save", no_room)
    told: list[ClusterState] = []
    made = StatePublisher(ClusterDir(tmp_path), told.append)

    def now() -> ClusterState:
        return replace(written(tmp_path), trouble=made.trouble)

    made.publish(now)
    assert [each.trouble for each in told] == ["run.json cannot be written: No space left on device"]
    await asyncio.sleep(0)
    assert len(told) == 1, "the same trouble is told once"
    monkeypatch.undo()
    await eventually((tmp_path / "run.json").exists)
    assert told[-1].trouble == ""
    made.close(now())
    assert not (tmp_path / "run.json").exists()


def test_a_listener_that_has_gone_is_no_reason_to_stop(tmp_path: Path) -> None:
    def gone(_: ClusterState) -> None:
        raise BrokenPipeError

    made = StatePublisher(ClusterDir(tmp_path), gone)
    made.publish(lambda: written(tmp_path))
    made.publish(lambda: written(tmp_path, FAILING))
    assert state_file.load(tmp_path / "run.json") == written(tmp_path, FAILING)
