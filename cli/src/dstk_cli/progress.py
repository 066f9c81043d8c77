"""Progress on standard error: a bar on a terminal, otherwise a line for each change, or nothing."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from typing_extensions import override

from dstk_cli import console
from dstk_cli.untrusted import as_markup


@dataclass(slots=True)
class Shown:
    """A progress display. Call it to update it."""

    bar: Progress | None
    task: TaskID | None
    last: str = ""

    def __call__(self, text: str, done: float = 0, total: float | None = None) -> None:
        """Shows `text` and that `done` of `total` is done. `total` None: unknown."""
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, description=as_markup(text), completed=done, total=total)
        elif text != self.last:
            console.note(f"[dim]{as_markup(text)}[/]")
        self.last = text


@contextmanager
def shown(text: str) -> Iterator[Shown]:
    """Shows progress while the block runs."""
    if not console.err().is_terminal:
        made = Shown(None, None)
        made(text)
        yield made
        return
    with _bar([], transient=True) as bar:
        yield Shown(bar, bar.add_task(as_markup(text), total=None), text)


def _bar(columns: Sequence[ProgressColumn], *, transient: bool) -> Progress:
    always = SpinnerColumn(), TextColumn("{task.description}"), BarColumn()
    return Progress(*always, *columns, console=console.err(), transient=transient)


@dataclass(slots=True)
class Meter:
    """Counts acknowledged records from its creation on."""

    records: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since its creation."""
        return max(time.monotonic() - self.began, 1e-9)

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds


class _Rate(ProgressColumn):
    """Column with the number and the rate of records."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    @override
    def render(self, task: Task) -> Text:
        return Text(f"{self._meter.records:,} records   {self._meter.rate:,.0f}/s", style="cyan")


@dataclass(slots=True)
class Records:
    """The progress of many records. `acknowledged` takes numbers of records, `reached` a position in units of the total."""

    meter: Meter
    bar: Progress | None = None
    task: TaskID | None = None

    def acknowledged(self, records: int) -> None:
        """Counts more records that are on disk."""
        self.meter.records += records

    def reached(self, done: int) -> None:
        """Moves the bar to a position."""
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=done)


@contextmanager
def records(title: str, total: int | None) -> Iterator[Records]:
    """Shows a bar with the rate during the block, if standard error is a terminal. `total` None: unknown."""
    meter = Meter()
    if not console.err().is_terminal:
        yield Records(meter)
        return
    with _bar([TaskProgressColumn(), _Rate(meter), TimeRemainingColumn()], transient=False) as bar:
        yield Records(meter, bar, bar.add_task(as_markup(title), total=total))
