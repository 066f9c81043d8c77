"""What a load shows while it runs, and how fast it was."""

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
    """Counts acknowledged records since it was made."""

    records: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return max(time.monotonic() - self.began, 1e-9)

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


class _Rate(ProgressColumn):
    """Records so far and records a second."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def render(self, task: Task) -> Text:  # noqa: ARG002 - rich's signature
        return Text(f"{self._meter.records:,} records   {self._meter.rate:,.0f}/s", style="cyan")


@dataclass(slots=True)
class Shown:
    """The progress on the screen: call `acknowledged` with records, `reached` with units of the total."""

    meter: Meter
    bar: Progress | None
    task: TaskID | None

    def acknowledged(self, records: int) -> None:
        """So many more records are on disk."""
        self.meter.records += records

    def reached(self, done: int) -> None:
        """The source is loaded up to here."""
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=done)


@contextmanager
def shown(title: str, total: int | None) -> Iterator[Shown]:
    """A bar on standard error while the block lasts, or nothing where there is no terminal. `total` None: not known."""
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
