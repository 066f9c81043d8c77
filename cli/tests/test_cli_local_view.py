"""How a local cluster is shown: processes that are gone, troubles, and a table that fits its terminal."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dstk_cli.local import view
from dstk_localcluster import ClusterDir, ClusterState, Phase, ProcessState
from dstk_localcluster.processes import ProcessRef
from dstk_localcluster.state import DirectoryId

SERVING = ProcessState(
    "storage-1", "127.0.0.1:20001", "s.log", Phase.SERVING, ProcessRef.own(), operations="127.0.0.1:20002"
)
FAILING = ProcessState("storage-2", "127.0.0.1:2", "t.log", Phase.FAILING, None, 0, 7, "exit 1", 100.0, "disk full")
METRICS = replace(SERVING, name="metrics", page="http://127.0.0.1:7200")
PROMETHEUS = replace(SERVING, name="prometheus", page="http://127.0.0.1:9093", probe="http://127.0.0.1:9093/-/ready")


def running(*processes: ProcessState) -> ClusterState:
    return ClusterState(DirectoryId("", 0, 0), ProcessRef.own(), Phase.SERVING, "127.0.0.1:7000", 1.5, processes)


def test_a_cluster_is_no_better_than_its_processes() -> None:
    whole, part = running(SERVING), running(SERVING, FAILING)
    assert whole.observed(supervised=True).phase is Phase.SERVING
    assert part.observed(supervised=True).phase is Phase.DEGRADED
    dead = replace(SERVING, process=ProcessRef(2**22 + 1, 1.0))
    seen = running(dead).observed(supervised=True)
    assert (seen.phase, seen.processes[0].phase) == (Phase.DEGRADED, Phase.DOWN)


def test_what_waits_for_its_next_start_is_down_where_nobody_starts_it() -> None:
    part = running(SERVING, FAILING)
    assert part.observed(supervised=True).processes[1].phase is Phase.FAILING
    assert part.observed(supervised=False).processes[1].phase is Phase.DOWN


def test_what_does_not_serve_is_told_with_since_when_and_why() -> None:
    part = replace(running(SERVING, FAILING), trouble="run.json cannot be written: full")
    assert view.troubles(part, 221.0) == [
        "storage-2 is failing, not serving for 2 min 1 s, last ended by exit 1: disk full (log: t.log)",
        "run.json cannot be written: full",
    ]


@pytest.fixture
def width() -> Callable[[int], int]:
    from rich.console import Console  # noqa: PLC0415

    def widest(columns: int) -> int:
        console = Console(width=columns, record=True, file=None, quiet=False, force_terminal=False)
        shown = running(SERVING, FAILING)
        with console.capture() as captured:
            console.print(view.processes(shown, columns))
        lines = captured.get().splitlines()
        assert len(lines) == 3, "one line a process, whatever the width"
        assert "storage-2  failing" in lines[2]
        return max(len(line.rstrip()) for line in lines)

    return widest


@pytest.mark.parametrize("columns", [40, 59, 60, 80, 99, 100, 119, 120, 200])
def test_the_table_of_processes_fits_its_terminal(width: Callable[[int], int], columns: int) -> None:
    assert width(columns) <= columns


def test_where_the_figures_of_each_process_are_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    directory = ClusterDir.at(Path("/data"))
    assert view.as_json(directory, running(SERVING))["processes"][0]["operations"] == "127.0.0.1:20002"
    assert "http://127.0.0.1:20002/metrics" in str(view.how_to_use(directory, running(SERVING)))
    assert "127.0.0.1:20002" in list(view.processes(running(SERVING), 120).columns[4].cells)


def test_pages_of_what_watches_the_cluster_are_shown_and_fit_80_columns() -> None:
    directory = ClusterDir.at(Path("/data"))
    alone, watched = running(SERVING), running(SERVING, METRICS, PROMETHEUS)
    assert "prometheus" not in str(view.how_to_use(directory, alone))
    lines = str(view.how_to_use(directory, watched)).splitlines()
    assert "prometheus  http://127.0.0.1:9093" in lines
    assert "scrape      http://127.0.0.1:20002/metrics   (likewise each process: dstk local status)" in lines
    assert lines[-1] == "console     http://127.0.0.1:7200"
    assert {line.index("  ") for line in lines if line.startswith("prometheus")} == {10}
    assert [process["page"] for process in view.as_json(directory, watched)["processes"]] == [
        *("", METRICS.page, PROMETHEUS.page)
    ]


def test_a_watcher_that_fails_is_trouble_and_the_cluster_serves() -> None:
    down = replace(PROMETHEUS, phase=Phase.FAILING, process=None, since=100.0, reason="no config", log="p.log")
    seen = running(SERVING, down).observed(supervised=True)
    assert seen.phase is Phase.SERVING
    assert view.troubles(seen, 160.0) == ["prometheus is failing, not serving for 1 min 0 s: no config (log: p.log)"]
