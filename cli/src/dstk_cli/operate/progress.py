"""Progress on standard error: a bar on a terminal, otherwise one line for each change."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

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
    target = console.err()
    if not target.is_terminal:
        made = Shown(None, None)
        made(text)
        yield made
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=target, transient=True) as bar:
        yield Shown(bar, bar.add_task(as_markup(text), total=None), text)
