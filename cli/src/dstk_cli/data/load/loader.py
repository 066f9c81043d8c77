"""Runs a load: reads the next chunk while it inserts the current one, and writes a checkpoint after each chunk.

Invariant: each record before the position of a checkpoint is acknowledged by the cluster, or stands in FILE.bad.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dstk_cli import console
from dstk_cli.data.load.bad import BadLines
from dstk_cli.data.load.checkpoint import Checkpoint, Subject
from dstk_cli.data.load.threads import in_daemon_thread
from dstk_cli.progress import Records
from dstk_cli.untrusted import as_markup
from dstk_client import Client, InsertStopped
from dstk_formats.chunks import Chunk
from dstk_formats.source import BadLineError
from dstk_keytypes import Ttl

BATCH_RECORDS = 2000


@dataclass(slots=True)
class Outcome:
    """The counts of a load: `rows` that made a record, and records of a dump that had `expired`."""

    rows: int = 0
    expired: int = 0
    stopped_by: BadLineError | None = None


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Where a load writes checkpoints; `path` None: nowhere. `before` counts the records of the resumed load."""

    path: Path | None
    subject: Subject
    before: int = 0


@dataclass(slots=True)
class Loader:
    """One load."""

    client: Client
    checkpoints: Checkpoints
    bad_lines: BadLines
    ttl: Ttl | None
    shown: Records
    outcome: Outcome = field(default_factory=Outcome)

    async def run(self, chunks: Iterator[Chunk]) -> Outcome:
        """Loads all chunks. If it fails or is cancelled, the last checkpoint stays."""
        reading = _next(chunks)
        try:
            while (chunk := await reading) is not None:
                reading = _next(chunks)
                await self._insert(chunk)
                self._acknowledged(chunk)
        finally:
            reading.cancel()
        if self.checkpoints.path is not None and self.outcome.stopped_by is None:
            self.checkpoints.path.unlink(missing_ok=True)
        return self.outcome

    async def _insert(self, chunk: Chunk) -> None:
        """Inserts the records of a chunk. Repeating an unknown outcome is right: the same records are written again."""
        try:
            await self.client.insert_sorted(
                chunk.records,
                batch_size=BATCH_RECORDS,
                ttl=self.ttl,
                repeat_ambiguous=True,
                progress=self.shown.acknowledged,
            )
        except InsertStopped as stopped:
            raise stopped.__cause__ or stopped from None  # the position in the source says more than that in the chunk

    def _acknowledged(self, chunk: Chunk) -> None:
        self.outcome.rows += chunk.rows
        self.outcome.expired += chunk.expired
        self.outcome.stopped_by = chunk.stopped_by
        self.bad_lines.add(chunk.bad)
        self.shown.reached(chunk.position.size)
        if self.checkpoints.path is not None:
            self._save_checkpoint(chunk, self.checkpoints.path)

    def _save_checkpoint(self, chunk: Chunk, path: Path) -> None:
        records = self.checkpoints.before + self.outcome.rows
        try:
            Checkpoint(self.checkpoints.subject, chunk.position, records, self.bad_lines.size).save(path)
        except OSError as error:
            console.note(f"[yellow]cannot write a checkpoint, so this load cannot be resumed: {as_markup(error)}[/]")
            self.checkpoints = Checkpoints(None, self.checkpoints.subject)


def _next(chunks: Iterator[Chunk]) -> "asyncio.Task[Chunk | None]":
    return asyncio.create_task(in_daemon_thread(lambda: next(chunks, None)))
