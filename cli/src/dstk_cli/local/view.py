"""Shows a local cluster: the table of its processes, live while it starts, and the same as JSON."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from dstk_cli import console
from dstk_cli.directories import data_dir_option
from dstk_cli.tables import Columns, listing
from dstk_cli.untrusted import as_markup
from dstk_localcluster import ClusterDir, ClusterState, Phase, ProcessState
from dstk_service.figures import duration

_COLOURS = {
    Phase.SERVING: "green",
    Phase.STARTING: "yellow",
    Phase.RESTARTING: "yellow",
    Phase.STOPPING: "yellow",
    Phase.FAILING: "bold red",
    Phase.SILENT: "bold red",
    Phase.DEGRADED: "bold yellow",
    Phase.DOWN: "bold red",
}
_ON_THE_WAY = {Phase.WAITING, Phase.STARTING, Phase.STOPPING, Phase.STOPPED}
"""Phases that are no trouble while a cluster starts or stops."""
FULL = 100
_LEAST_WIDTH = {"address": 60, "operations": 120, ">pid": 60, ">restarts": FULL, ">memory": FULL, "last exit": FULL}
"""Of a terminal that shows the column."""


def processes(running: ClusterState, width: int = FULL) -> Table:
    """Returns a table with a row for each process and the columns that `width` characters have room for."""
    columns = {title: cell for title, cell in _COLUMNS.items() if width >= _LEAST_WIDTH.get(title, 0)}
    return listing(columns, running.processes)


def troubles(running: ClusterState, now: float) -> list[str]:
    """Returns a line for each process that does not serve, with how long and why, and one for the supervisor's own trouble, as
    text without markup. `now` is the present Unix time.
    """
    under_way = running.phase in {Phase.STARTING, Phase.STOPPING}
    late = [process for process in running.processes if process.phase is not Phase.SERVING]
    troubled = [process for process in late if not (under_way and process.phase in _ON_THE_WAY)]
    return [*(_trouble(process, now) for process in troubled), *filter(None, [running.trouble])]


def _trouble(process: ProcessState, now: float) -> str:
    how = f", last ended by {process.last_exit}" if process.last_exit else ""
    why = f": {process.reason}" if process.reason else ""
    return f"{process.name} is {process.phase}, not serving for {duration(now - process.since)}{how}{why} (log: {process.log})"


def as_json(directory: ClusterDir, running: ClusterState) -> dict[str, Any]:
    """Returns the state as one JSON object."""
    return {
        "data_dir": str(directory.root),
        "state": running.phase,
        "router": running.router,
        "supervisor_pid": running.supervisor.pid,
        "trouble": running.trouble,
        "processes": [_process_json(process) for process in running.processes],
    }


def how_to_use(directory: ClusterDir, running: ClusterState) -> RenderableType:
    """Returns the first commands to try on a cluster that serves."""
    option = as_markup(data_dir_option(directory.root))
    lines = (
        ("router", f"[bold]{running.router}[/]   (gRPC with reflection, any language)"),
        ("scrape", _scrape_example(running)),
        ("data in", as_markup(directory.root)),
        ("try", f"[cyan]dstk put{option} hello world[/]   [cyan]dstk get{option} hello[/]"),
        ("", f"[cyan]dstk partitions{option}[/]   [cyan]dstk local down{option}[/]"),
        *pages(running),
    )
    width = max(len(title) for title, _ in lines)
    return "\n".join(f"{title:{width}}  {text}" for title, text in lines)


def pages(running: ClusterState) -> list[tuple[str, str]]:
    """Returns the console and each program that watches the cluster, with the URL of its page; the console is the last."""
    watchers = [(process.name, process.page) for process in running.watchers]
    return [*watchers, *(("console", process.page) for process in running.parts if process.page)]


def _scrape_example(running: ClusterState) -> str:
    """Returns where one process's figures are; `dstk local status` has the addresses of all."""
    last = running.parts[-1].operations
    return f"http://{last}/metrics   (likewise each process: dstk local status)" if last else "off"


@dataclass(slots=True)
class Progress:
    """Shows the latest state while a cluster starts or stops. Call it with each state; without `live` it shows nothing."""

    live: Live | None
    doing: str

    def __call__(self, running: ClusterState) -> None:
        """Shows this state."""
        if self.live is not None:
            shown = processes(running, self.live.console.width)
            self.live.update(Group(Spinner("dots", f"{self.doing} ..."), shown))


@contextmanager
def progress(doing: str) -> Iterator[Progress]:
    """Shows a live table on standard error while the block lasts; nothing without a terminal."""
    shown = console.err()
    if not shown.is_terminal:
        yield Progress(None, doing)
        return
    with Live(Spinner("dots", f"{doing} ..."), console=shown, transient=True, refresh_per_second=12) as live:
        yield Progress(live, doing)


def _process_json(process: ProcessState) -> dict[str, Any]:
    fields = ("name", "address", "operations", "started_at", "restarts", "since", "last_exit", "reason", "log", "page")
    pid = process.process.pid if process.process else None
    return {"state": process.phase, "pid": pid, **{name: getattr(process, name) for name in fields}}


def _memory(process: ProcessState) -> str:
    found = process.process.memory_bytes() if process.process else None
    return "-" if found is None else f"{found >> 20} MiB"


def _state(process: ProcessState) -> str:
    return f"[{_COLOURS.get(process.phase, 'dim')}]{process.phase}[/]"


_COLUMNS: Columns[ProcessState] = {
    "process": lambda process: process.name,
    "state": _state,
    ">for": lambda process: duration(time.time() - process.since),
    "address": lambda process: process.address,
    "operations": lambda process: process.operations,
    ">pid": lambda process: str(process.process.pid) if process.process else "-",
    ">restarts": lambda process: str(process.restarts),
    ">memory": _memory,
    "last exit": lambda process: as_markup(process.last_exit),
}
