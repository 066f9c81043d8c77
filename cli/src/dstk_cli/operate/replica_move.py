"""Moves a replica to another node: adds the new one, waits until it is in sync, and only then removes the old one.

The partition never has fewer replicas in sync than before. Each step depends on the map alone, so repeating the command resumes
an interrupted move, and the reverse command undoes it.
"""

import asyncio
import time
from dataclasses import dataclass
from enum import Enum, auto

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli import console
from dstk_cli.cluster import OperatorClient
from dstk_cli.errors import USAGE, CliError
from dstk_cli.progress import Shown, shown
from dstk_cli.untrusted import as_markup
from dstk_service.errors import DstkError, NotServing

POLL_SECONDS = 0.5

PATIENCE_SECONDS = 30.0
"""A move gives up when the partition is not served for longer than this. A transfer or a failover takes a moment."""


class Step(Enum):
    """The next step of a move."""

    ADD = auto()
    WAIT = auto()
    TRANSFER = auto()
    REMOVE = auto()
    DONE = auto()


@dataclass(frozen=True, slots=True)
class Move:
    """Which replica moves where."""

    partition_id: int
    source: str
    target: str

    def next_step(self, entry: topology_pb2.Partition) -> Step:
        """Returns the next step for a map entry. Pure."""
        if self.source not in entry.replicas and self.target in entry.in_sync:
            return Step.DONE
        if self.target not in entry.replicas:
            return Step.ADD
        if self.target not in entry.in_sync:
            return Step.WAIT
        return Step.TRANSFER if entry.primary == self.source else Step.REMOVE

    def check(self, entry: topology_pb2.Partition) -> None:
        """Raises CliError if the move is impossible."""
        if self.source == self.target:
            raise CliError(f"--from and --to are both {self.source!r}", "name two different nodes", USAGE)
        if self.source not in entry.replicas and self.target not in entry.replicas:
            have = ", ".join(entry.replicas)
            raise CliError(f"partition {entry.id} has no replica on {self.source!r}", f"it has: {have}", USAGE)

    def state(self, entry: topology_pb2.Partition) -> str:
        """Describes the state of an unfinished move. Pure."""
        match self.next_step(entry):
            case Step.ADD:
                return f"nothing was changed: {self.target} has no replica yet"
            case Step.WAIT:
                return f"the new replica on {self.target} is not in sync yet; the one on {self.source} is still there"
            case Step.TRANSFER:
                return f"the new replica on {self.target} is in sync; {self.source} is still the primary"
            case Step.REMOVE:
                return f"the new replica on {self.target} is in sync; the one on {self.source} is still there"
        return f"the replica is on {self.target} and no longer on {self.source}"

    def command(self) -> str:
        """Returns the command that resumes the move."""
        return f"dstk partitions move {self.partition_id} --from {self.source} --to {self.target}"

    def reverse(self) -> "Move":
        """Returns the move that undoes this one."""
        return Move(self.partition_id, self.target, self.source)


class Mover:
    """Carries out a move."""

    def __init__(self, cluster: OperatorClient, move: Move) -> None:
        self._cluster = cluster
        self._move = move
        self._entry = topology_pb2.Partition()
        self._added = False
        self._served_at = time.monotonic()

    async def run(self) -> topology_pb2.Partition:
        """Returns the map entry when the move is done. Prints the state of the move if it fails or is interrupted."""
        self._entry = (await self._cluster.partition(self._move.partition_id)).partition
        self._move.check(self._entry)
        with shown(f"partition {self._move.partition_id}: {self._move.source} to {self._move.target}") as progress:
            try:
                while (step := self._move.next_step(self._entry)) is not Step.DONE:
                    await self._try(step, progress)
            except (asyncio.CancelledError, DstkError, CliError):
                self._print_state()
                raise
        return self._entry

    async def _try(self, step: Step, progress: Shown) -> None:
        """Does a step. If the partition is not served at the moment, waits and reads the map again."""
        try:
            await self._do(step, progress)
            self._served_at = time.monotonic()
        except NotServing:
            if time.monotonic() - self._served_at > PATIENCE_SECONDS:
                raise
            await asyncio.sleep(POLL_SECONDS)
            self._entry = (await self._cluster.partition(self._move.partition_id)).partition

    async def _do(self, step: Step, progress: Shown) -> None:
        cluster, move = self._cluster, self._move
        match step:
            case Step.ADD:
                if self._added:
                    raise CliError(f"the new replica on {move.target} was removed by someone else", _WHO)
                self._added = True
                progress(f"adding a replica on {move.target}")
                self._entry = await cluster.add_replica(move.partition_id, move.target)
            case Step.WAIT:
                await asyncio.sleep(POLL_SECONDS)
                await self._look(progress)
            case Step.TRANSFER:
                progress(f"transferring the primary from {move.source} to {move.target}")
                self._entry = await cluster.transfer(move.partition_id, move.target)
            case Step.REMOVE:
                progress(f"removing the replica on {move.source}")
                self._entry = await cluster.remove_replica(move.partition_id, move.source)

    async def _look(self, progress: Shown) -> None:
        status = await self._cluster.partition(self._move.partition_id)
        self._entry = status.partition
        follower = next((each for each in status.followers if each.node == self._move.target), None)
        if follower is not None:
            progress(*how_far(status, follower))

    def _print_state(self) -> None:
        move = self._move
        console.note(f"[yellow]the move is not complete[/]: {as_markup(move.state(self._entry))}")
        console.note(f"[dim]  -> resume: {as_markup(move.command())}[/]")
        if move.next_step(self._entry) is not Step.ADD:
            console.note(f"[dim]  -> undo: {as_markup(move.reverse().command())}[/]")


_WHO = "`dstk controller events` shows who did it; `dstk controller pause` stops the controller meanwhile"


def how_far(status: admin_pb2.PartitionStatus, follower: admin_pb2.FollowerStatus) -> tuple[str, float, float | None]:
    """Returns the progress of a new replica: as text, what is done, and the total. Pure."""
    if follower.needs_snapshot:
        return f"{follower.node}: copying ~{status.estimated_bytes:,} bytes", 0, None
    text = f"{follower.node}: caught up to write {follower.sequence:,} of {status.sequence:,}"
    return text, follower.sequence, status.sequence or None
