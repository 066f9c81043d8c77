"""A replica on its way from one node to another: a new one beside the old, in sync, and only then the old one goes.

At no step has the partition fewer replicas in sync than before. Each step rests on the map alone, so a move that was broken
off goes on where it was when the same is asked again, and is taken back by asking for the reverse.
"""

import asyncio
import time
from dataclasses import dataclass
from enum import Enum, auto

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli import console
from dstk_cli.errors import USAGE, CliError
from dstk_cli.operate.cluster import Cluster
from dstk_cli.operate.progress import Shown, shown
from dstk_cli.untrusted import as_markup
from dstk_service.errors import DstkError, NotServing

POLL_SECONDS = 0.5

PATIENCE_SECONDS = 30.0
"""How long a partition may not be served, as it is for a moment after a transfer or a failover, before a move gives up."""


class Step(Enum):
    """What comes next."""

    ADD = auto()
    WAIT = auto()
    SWITCH = auto()
    REMOVE = auto()
    DONE = auto()


@dataclass(frozen=True, slots=True)
class Move:
    """Which replica goes where."""

    partition_id: int
    source: str
    target: str

    def next_step(self, entry: topology_pb2.Partition) -> Step:
        """From the map's entry. Pure."""
        if self.source not in entry.replicas and self.target in entry.in_sync:
            return Step.DONE
        if self.target not in entry.replicas:
            return Step.ADD
        if self.target not in entry.in_sync:
            return Step.WAIT
        return Step.SWITCH if entry.primary == self.source else Step.REMOVE

    def check(self, entry: topology_pb2.Partition) -> None:
        """Refuses what makes no sense. Raises CliError."""
        if self.source == self.target:
            raise CliError(f"--from and --to are both {self.source!r}", "name two different nodes", USAGE)
        if self.source not in entry.replicas and self.target not in entry.replicas:
            have = ", ".join(entry.replicas)
            raise CliError(f"partition {entry.id} has no replica on {self.source!r}", f"it has: {have}", USAGE)

    def state(self, entry: topology_pb2.Partition) -> str:
        """Where things are, for people who broke it off. Pure."""
        match self.next_step(entry):
            case Step.ADD:
                return f"nothing was changed: {self.target} has no replica yet"
            case Step.WAIT:
                return f"{self.target} has a replica that is not in sync yet; {self.source} has kept its own"
            case Step.SWITCH:
                return f"{self.target} is in sync; {self.source} is still the primary"
            case Step.REMOVE:
                return f"{self.target} is in sync; {self.source} has kept its replica too"
        return f"the replica is on {self.target}, and none is left on {self.source}"

    def command(self) -> str:
        """What goes on with it."""
        return f"dstk partitions move {self.partition_id} --from {self.source} --to {self.target}"

    def reverse(self) -> "Move":
        """What takes it back."""
        return Move(self.partition_id, self.target, self.source)


class Mover:
    """Carries a move out."""

    def __init__(self, cluster: Cluster, move: Move) -> None:
        self._cluster = cluster
        self._move = move
        self._entry = topology_pb2.Partition()
        self._added = False
        self._served_at = time.monotonic()

    async def run(self) -> topology_pb2.Partition:
        """Returns the map's entry when all is done. Says what state things are in when it does not get there."""
        self._entry = (await self._cluster.partition(self._move.partition_id)).partition
        self._move.check(self._entry)
        with shown(f"partition {self._move.partition_id}: {self._move.source} to {self._move.target}") as progress:
            try:
                while (step := self._move.next_step(self._entry)) is not Step.DONE:
                    await self._try(step, progress)
            except (asyncio.CancelledError, DstkError, CliError):
                self._say_where_things_are()
                raise
        return self._entry

    async def _try(self, step: Step, progress: Shown) -> None:
        """Does a step. Where it is refused for the moment, looks again: what comes next is decided by the map anew."""
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
                    raise CliError(f"the new replica on {move.target} was taken away meanwhile", _WHO)
                self._added = True
                progress(f"adding a replica on {move.target}")
                self._entry = await cluster.add_replica(move.partition_id, move.target)
            case Step.WAIT:
                await asyncio.sleep(POLL_SECONDS)
                await self._look(progress)
            case Step.SWITCH:
                progress(f"handing over from {move.source} to {move.target}")
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

    def _say_where_things_are(self) -> None:
        move = self._move
        console.note(f"[yellow]the move is not done[/]: {as_markup(move.state(self._entry))}")
        console.note(f"[dim]  -> go on: {as_markup(move.command())}[/]")
        if move.next_step(self._entry) is not Step.ADD:
            console.note(f"[dim]  -> take it back: {as_markup(move.reverse().command())}[/]")


_WHO = "`dstk controller events` shows who did it; `dstk controller pause` keeps the controller out of the way"


def how_far(status: admin_pb2.PartitionStatus, follower: admin_pb2.FollowerStatus) -> tuple[str, float, float | None]:
    """How far a new replica has come: in words, and of how much. Pure."""
    if follower.rebuilding:
        return f"{follower.node}: being copied, ~{status.estimated_bytes:,} bytes", 0, None
    text = f"{follower.node}: at write {follower.sequence:,} of {status.sequence:,}"
    return text, follower.sequence, status.sequence or None
