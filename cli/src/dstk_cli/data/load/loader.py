"""Runs a load: reads the next chunk while the one before is inserted, and remembers what the cluster acknowledged.

Invariant: the checkpoint names a position only after every record in front of it is acknowledged.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dstk_cli import console
from dstk_cli.data.load.checkpoint import Checkpoint
from dstk_cli.data.load.chunks import Chunk
from dstk_cli.data.load.insert import insert_all
from dstk_cli.data.load.progress import Shown
from dstk_cli.data.load.source import BadLineError
from dstk_cli.data.load.threads import in_daemon_thread
from dstk_cli.untrusted import as_markup
from dstk_client import Client
from dstk_keytypes import Ttl


@dataclass(slots=True)
class Outcome:
    """What a load did. `rows` counts lines that made a record, `bad` those that did not and were left out."""

    rows: int = 0
    bad: int = 0
    stopped_by: BadLineError | None = None


@dataclass(slots=True)
class Loader:
    """One load. `checkpoint` None: no position is kept; `before` counts the records of the load that is resumed."""

    client: Client
    recipe: str
    checkpoint: Path | None
    bad_lines: "BadLines"
    ttl: Ttl | None
    shown: Shown
    before: int = 0
    outcome: Outcome = field(default_factory=Outcome)

    async def run(self, chunks: Iterator[Chunk]) -> Outcome:
        """Loads all chunks. The position of what was acknowledged is kept if it fails or is cancelled."""
        reading = _next(chunks)
        try:
            while (chunk := await reading) is not None:
                reading = _next(chunks)
                await insert_all(self.client, chunk.records, ttl=self.ttl, inserted=self.shown.acknowledged)
                self._acknowledged(chunk)
        finally:
            reading.cancel()
        if self.checkpoint is not None and self.outcome.stopped_by is None:
            self.checkpoint.unlink(missing_ok=True)
        return self.outcome

    def _acknowledged(self, chunk: Chunk) -> None:
        self.outcome.rows += chunk.rows
        self.outcome.bad += len(chunk.bad)
        self.outcome.stopped_by = chunk.stopped_by
        self.bad_lines.add(chunk.bad)
        self.shown.reached(chunk.position.size)
        if self.checkpoint is None:
            return
        try:
            Checkpoint(chunk.position, self.before + self.outcome.rows, self.recipe).save(self.checkpoint)
        except OSError as error:
            console.note(f"[yellow]no position is kept, this load cannot be resumed: {error}[/]")
            self.checkpoint = None


class BadLines:
    """Reports lines that were left out: the first ones on the screen, all of them in a file where there is one."""

    SHOWN = 10

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._count = 0

    def add(self, bad: list[BadLineError]) -> None:
        """Reports some more."""
        for error in bad[: max(0, self.SHOWN - self._count)]:
            console.note(f"[yellow]left out[/] {as_markup(str(error))}")
        self._count += len(bad)
        if self.path is not None and bad:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(f"{error}\t{error.text.strip()}\n" for error in bad)


def _next(chunks: Iterator[Chunk]) -> "asyncio.Task[Chunk | None]":
    return asyncio.create_task(in_daemon_thread(lambda: next(chunks, None)))
