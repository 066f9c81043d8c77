"""A local cluster for people: the table of its processes, live while it starts, and the same as JSON."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psutil
from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from dstk_cli import console
from dstk_cli.local.layout import ClusterDir
from dstk_cli.local.state import ChildState, Phase, RunState
from dstk_cli.untrusted import as_markup

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
_BY_AND_BY = {Phase.WAITING, Phase.STARTING, Phase.STOPPING, Phase.STOPPED}
"""What is no trouble while a cluster starts or stops."""
FULL = 100
_COLUMNS = (
    (FULL, ("process", "state", "for", "address", "pid", "restarts", "memory", "last exit")),
    (60, ("process", "state", "for", "address", "pid")),
    (0, ("process", "state", "for")),
)
"""By the least width, what is shown."""
_NUMBERS = {"pid", "for", "restarts", "memory"}
_MIB = 1 << 20


def processes(running: RunState, width: int = FULL) -> Table:
    """One row a process, with the columns that `width` characters have room for."""
    columns = next(columns for least, columns in _COLUMNS if width >= least)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in columns:
        table.add_column(title, justify="right" if title in _NUMBERS else "left", no_wrap=True)
    for child in running.children:
        cells = _cells(child)
        table.add_row(*(cells[title] for title in columns))
    return table


def troubles(running: RunState, since: float) -> list[str]:
    """A line for each process that does not serve, with how long and why, and for what the supervisor cannot do. `since` is the
    present time. Without markup.
    """
    under_way = running.phase in {Phase.STARTING, Phase.STOPPING}
    late = [child for child in running.children if child.phase is not Phase.SERVING]
    troubled = [child for child in late if not (under_way and child.phase in _BY_AND_BY)]
    return [*(_trouble(child, since) for child in troubled), *filter(None, [running.trouble])]


def _trouble(child: ChildState, now: float) -> str:
    how = f", last ended by {child.last_exit}" if child.last_exit else ""
    why = f": {child.reason}" if child.reason else ""
    return f"{child.name} is {child.phase}, not serving for {duration(now - child.since)}{how}{why} (log: {child.log})"


def as_json(directory: ClusterDir, running: RunState) -> dict[str, Any]:
    """The state as one object."""
    return {
        "data_dir": str(directory.root),
        "state": running.phase,
        "router": running.router,
        "supervisor_pid": running.supervisor.pid,
        "trouble": running.trouble,
        "processes": [_child_json(child) for child in running.children],
    }


def how_to_use(directory: ClusterDir, running: RunState) -> RenderableType:
    """What to do with a cluster that serves."""
    option = as_markup(directory.flag)
    return "\n".join(
        (
            f"router   [bold]{running.router}[/]   (gRPC with reflection, any language)",
            f"data in  {as_markup(directory.root)}",
            f"try      [cyan]dstk put{option} hello world[/]   [cyan]dstk get{option} hello[/]",
            f"         [cyan]dstk partitions{option}[/]   [cyan]dstk local down{option}[/]",
        )
    )


@dataclass(slots=True)
class Progress:
    """Shows the latest state while a cluster starts or stops. Call it with each state."""

    live: Live | None
    doing: str

    def __call__(self, running: RunState) -> None:
        """Shows this state."""
        if self.live is not None:
            shown = processes(running, self.live.console.width)
            self.live.update(Group(Spinner("dots", f"{self.doing} ..."), shown))


@contextmanager
def progress(doing: str) -> Iterator[Progress]:
    """A live table on standard error while the block lasts; nothing where there is no terminal."""
    shown = console.err()
    if not shown.is_terminal:
        yield Progress(None, doing)
        return
    with Live(Spinner("dots", f"{doing} ..."), console=shown, transient=True, refresh_per_second=12) as live:
        yield Progress(live, doing)


def duration(seconds: float) -> str:
    """A duration in its two largest units: "12 s", "3 min 5 s", "2 h 7 min", "4 d 2 h"."""
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    left, words = int(seconds), list[str]()
    for size, unit in units:
        amount, left = divmod(left, size)
        if amount or words:
            words.append(f"{amount} {unit}")
    return " ".join(words[:2]) or "0 s"


def _child_json(child: ChildState) -> dict[str, Any]:
    return {
        "name": child.name,
        "state": child.phase,
        "address": child.address,
        "pid": child.process.pid if child.process else None,
        "started_at": child.started_at,
        "restarts": child.restarts,
        "since": child.since,
        "last_exit": child.last_exit,
        "reason": child.reason,
        "log": child.log,
    }


def _cells(child: ChildState) -> dict[str, str]:
    colour = _COLOURS.get(child.phase, "dim")
    return {
        "process": child.name,
        "state": f"[{colour}]{child.phase}[/]",
        "for": duration(time.time() - child.since),
        "address": child.address,
        "pid": str(child.process.pid) if child.process else "-",
        "restarts": str(child.restarts),
        "memory": _memory(child),
        "last exit": as_markup(child.last_exit),
    }


def _memory(child: ChildState) -> str:
    found = child.process.find() if child.process else None
    try:
        return f"{found.memory_info().rss / _MIB:.0f} MiB" if found else "-"
    except psutil.NoSuchProcess:
        return "-"


def observed(running: RunState, *, supervised: bool) -> RunState:
    """The state with every process that is not there as what it is, whatever its supervisor last wrote."""
    children = tuple(_observed(child, supervised=supervised) for child in running.children)
    return running.with_children(children)


def _observed(child: ChildState, *, supervised: bool) -> ChildState:
    if child.process and child.process.alive:
        return child
    waits = supervised and child.process is None  # for its next start
    return child if waits else replace(child, phase=Phase.DOWN, process=None)
