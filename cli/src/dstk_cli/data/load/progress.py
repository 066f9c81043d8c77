"""The progress bar and the rate of a load or a dump."""

import time
from collections.abc import Iterator
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

from dstk_cli import console
from dstk_cli.untrusted import as_markup


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

    def render(self, task: Task) -> Text:  # noqa: ARG002 - rich's signature
        return Text(f"{self._meter.records:,} records   {self._meter.rate:,.0f}/s", style="cyan")


@dataclass(slots=True)
class Shown:
    """The progress on the screen. `acknowledged` takes numbers of records, `reached` a position in units of the total."""

    meter: Meter
    bar: Progress | None
    task: TaskID | None

    def acknowledged(self, records: int) -> None:
        """Counts more records that are on disk."""
        self.meter.records += records

    def reached(self, done: int) -> None:
        """Moves the bar to a position."""
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=done)


@contextmanager
def shown(title: str, total: int | None) -> Iterator[Shown]:
    """Shows a bar on standard error during the block, if that is a terminal. `total` None: unknown."""
    meter, target = Meter(), console.err()
    if not target.is_terminal:
        yield Shown(meter, None, None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        _Rate(meter),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=target) as bar:
        yield Shown(meter, bar, bar.add_task(as_markup(title), total=total))
