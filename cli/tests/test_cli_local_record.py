"""run.json: believed where it was written, written where there is room for nothing else, and no reason to stop."""

import asyncio
import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dstk_cli.local import record, state, view
from dstk_cli.local.layout import ClusterDir
from dstk_cli.local.processes import ProcessRef
from dstk_cli.local.record import Record
from dstk_cli.local.state import ChildState, Home, Phase, RunState
from dstk_cli.local.supervisor import end_orphans
from dstk_service.testing import eventually

SERVING = ChildState("storage-1", "127.0.0.1:1", "s.log", Phase.SERVING, ProcessRef.own())
FAILING = ChildState("storage-2", "127.0.0.1:2", "t.log", Phase.FAILING, None, 0, 7, "exit 1", 100.0, "disk full")


def written(directory: Path, *children: ChildState) -> RunState:
    return RunState(Home.of(directory), ProcessRef.own(), Phase.SERVING, "127.0.0.1:7000", 1.5, children or (SERVING,))


def test_a_copy_speaks_of_another_directory_and_is_not_believed(tmp_path: Path) -> None:
    original = tmp_path / "l1"
    original.mkdir()
    state.save(original / "run.json", written(original))
    shutil.copytree(original, tmp_path / "l3")
    assert state.load(original / "run.json") is not None
    assert state.load(tmp_path / "l3" / "run.json") is None
    assert end_orphans(ClusterDir(tmp_path / "l3")) == [], "or this very process would be ended"
    assert not (tmp_path / "l3" / "run.json").exists()


@pytest.mark.parametrize("change", [{"path": "/elsewhere"}, {"device": -1}, {"inode": -1}])
def test_path_device_and_inode_must_all_fit(tmp_path: Path, change: dict[str, object]) -> None:
    other = written(tmp_path)
    state.save(tmp_path / "run.json", other)
    text = (tmp_path / "run.json").read_text()
    name, value = next(iter(change.items()))
    now = getattr(other.home, name)
    (tmp_path / "run.json").write_text(text.replace(repr(now).replace("'", '"'), repr(value).replace("'", '"'), 1))
    assert state.load(tmp_path / "run.json") is None


def test_a_directory_reached_by_a_link_is_the_same_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    state.save(tmp_path / "link" / "run.json", written(tmp_path / "real"))
    assert state.load(tmp_path / "link" / "run.json") == written(tmp_path / "real")


def test_nothing_is_written_into_a_directory_that_took_the_place_of_ours(tmp_path: Path) -> None:
    place = tmp_path / "l1"
    place.mkdir()
    ours = written(place)
    place.rename(tmp_path / "moved")
    place.mkdir()
    with pytest.raises(FileNotFoundError, match="removed, moved away or replaced"):
        state.save(place / "run.json", ours)
    assert list(place.iterdir()) == []


def no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_where_no_file_can_be_made_the_present_one_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.save(tmp_path / "run.json", written(tmp_path))
    size = (tmp_path / "run.json").stat().st_size
    monkeypatch.setattr(state, "write_atomic", no_room)
    longer = written(tmp_path, SERVING, replace(FAILING, reason="x" * 2000))
    state.save(tmp_path / "run.json", longer)
    assert state.load(tmp_path / "run.json") == longer
    assert (tmp_path / "run.json").stat().st_size == size, "or it would have needed room"


async def test_what_cannot_be_written_is_told_and_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "_AGAIN_S", 0.01)
    monkeypatch.setattr(record.state, "save", no_room)
    told: list[RunState] = []
    made = Record(ClusterDir(tmp_path), told.append)

    def now() -> RunState:
        return replace(written(tmp_path), trouble=made.trouble)

    made.write(now)
    assert [each.trouble for each in told] == ["run.json cannot be written: No space left on device"]
    await asyncio.sleep(0)
    assert len(told) == 1, "the same trouble is told once"
    monkeypatch.undo()
    await eventually((tmp_path / "run.json").exists)
    assert told[-1].trouble == ""
    made.close(now())
    assert not (tmp_path / "run.json").exists()


def test_a_listener_that_has_gone_is_no_reason_to_stop(tmp_path: Path) -> None:
    def gone(_: RunState) -> None:
        raise BrokenPipeError

    made = Record(ClusterDir(tmp_path), gone)
    made.write(lambda: written(tmp_path))
    made.write(lambda: written(tmp_path, FAILING))
    assert state.load(tmp_path / "run.json") == written(tmp_path, FAILING)


def test_a_cluster_is_no_better_than_its_processes(tmp_path: Path) -> None:
    whole, part = written(tmp_path), written(tmp_path, SERVING, FAILING)
    assert view.observed(whole, supervised=True).phase is Phase.SERVING
    assert view.observed(part, supervised=True).phase is Phase.DEGRADED
    dead = replace(SERVING, process=ProcessRef(2**22 + 1, 1.0))
    seen = view.observed(written(tmp_path, dead), supervised=True)
    assert (seen.phase, seen.children[0].phase) == (Phase.DEGRADED, Phase.DOWN)


def test_what_waits_for_its_next_start_is_down_where_nobody_starts_it(tmp_path: Path) -> None:
    part = written(tmp_path, SERVING, FAILING)
    assert view.observed(part, supervised=True).children[1].phase is Phase.FAILING
    assert view.observed(part, supervised=False).children[1].phase is Phase.DOWN


def test_what_does_not_serve_is_told_with_since_when_and_why(tmp_path: Path) -> None:
    part = replace(written(tmp_path, SERVING, FAILING), trouble="run.json cannot be written: full")
    assert view.troubles(part, 221.0) == [
        "storage-2 is failing, not serving for 2 min 1 s, last ended by exit 1: disk full (log: t.log)",
        "run.json cannot be written: full",
    ]


@pytest.fixture
def width() -> Callable[[int], int]:
    from rich.console import Console  # noqa: PLC0415

    def widest(columns: int) -> int:
        console = Console(width=columns, record=True, file=None, quiet=False, force_terminal=False)
        running = RunState(Home("", 0, 0), ProcessRef.own(), Phase.SERVING, "", 0.0, (SERVING, FAILING))
        with console.capture() as captured:
            console.print(view.processes(running, columns))
        lines = captured.get().splitlines()
        assert len(lines) == 3, "one line a process, whatever the width"
        assert "storage-2  failing" in lines[2]
        return max(len(line.rstrip()) for line in lines)

    return widest


@pytest.mark.parametrize("columns", [40, 59, 60, 80, 99, 100, 200])
def test_the_table_of_processes_fits_its_terminal(width: Callable[[int], int], columns: int) -> None:
    assert width(columns) <= columns
