"""The data of one node: the domain's front door for the servicers."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from dstk_keytypes import KeyRange, PartitionId, limits
from dstk_service.observe import NULL, Observer
from dstk_storage.domain import layout, reads
from dstk_storage.domain.activity import SAMPLE, Activity
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.converge import Assignment, Divergence, converge
from dstk_storage.domain.errors import Corrupt, NotOwned, QueueFull
from dstk_storage.domain.estimate import Estimate
from dstk_storage.domain.events import PartitionQuarantined
from dstk_storage.domain.history import History
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.domain.layout import Stored
from dstk_storage.domain.lease import FOR_EVER
from dstk_storage.domain.on_disk import after_failure, partitions_on_disk
from dstk_storage.domain.orphaned_ranges import OrphanedRanges
from dstk_storage.domain.partition import Partition, PartitionTable, check_lease
from dstk_storage.domain.reads import Page
from dstk_storage.domain.stretches import behind, count_page
from dstk_storage.ports import Engine, EngineCorruption, Offload

_DATA, _HEADER_BYTES = layout.DATA, layout.HEADER_BYTES

MAX_SCANS = 64
"""Scans that may run or wait for a thread at one moment."""


class Store:
    """Reads, writes and the partitions that they belong to.

    Reads see what is on disk: the writes of a request when its receipt is durable (receipt.py).
    """

    def __init__(
        self,
        engine: Engine,
        offload: Offload,
        committer: GroupCommitter,
        monotonic: Callable[[], float],
        observer: Observer = NULL,
    ) -> None:
        self._monotonic, self._observer = monotonic, observer
        self._engine, self._offload = engine, offload
        self._scans = 0
        self.committer = committer
        self.table = PartitionTable()
        self.orphaned_ranges = OrphanedRanges(engine, offload, committer.put_metadata)
        self._local: dict[int, Partition] = {}
        self._active: dict[int, Partition] = {}
        self._remembered = layout.encode_garbage(0, {})
        self._is_loaded = False
        """It is known what lies on disk."""
        self._founding = False
        """The engine is older than the map (R11)."""

    @property
    def engine(self) -> Engine:
        """Where everything is stored."""
        return self._engine

    @property
    def offload(self) -> Offload:
        """For blocking calls of the engine."""
        return self._offload

    @property
    def locals(self) -> Iterable[Partition]:
        """All partitions of which this node has a replica."""
        return self._local.values()

    def local(self, number: PartitionId) -> Partition | None:
        """A partition of which this node has a replica."""
        return self._local.get(number)

    def load(self) -> None:
        """Reads the partitions that were here when the process last ran. Blocks; call once, before `converge`, and once the
        engine is proven. Raises EngineError.
        """
        identity = self._engine.get(layout.ENGINE)
        self._founding = identity is not None and EngineIdentity.decode(identity).founding
        self.orphaned_ranges.load(self._engine.get(layout.ORPHANED_RANGES), self._engine.get(layout.EMPTIED))
        self._local = {partition.id: partition for partition in partitions_on_disk(self._engine)}
        self._is_loaded = True
        self._load_garbage()

    def reread(self, before: Callable[[Partition], None]) -> None:
        """Compares what is held with the disk once the engine is reopened. Calls `before` with each partition whose log is
        about to change. Blocks. Raises EngineError.
        """
        stored = list(partitions_on_disk(self._engine))
        for partition in self._local.values():
            found = after_failure(partition, stored)
            if found is None:
                continue
            before(partition)
            partition.estimate.unknown()
            if isinstance(found, History):
                partition.log.reset(found)
            else:
                self._drop_contents(partition)

    def _drop_contents(self, partition: Partition) -> None:
        """What is on disk counts no longer."""
        partition.needs_snapshot, partition.snapshot_attempt = True, None
        partition.estimate = Estimate()
        partition.log.reset(History())
        self.committer.persist_metadata(partition)

    def _load_garbage(self) -> None:
        if (raw := self._engine.get(layout.GARBAGE)) is None:
            return
        self.committer.garbage.index, sizes = layout.decode_garbage(raw)
        for partition in self._local.values():
            partition.garbage = sizes.get(partition.id, 0)
        self._remembered = raw

    def remember_garbage(self) -> None:
        """Writes how many bytes deleted records still take, unless the disk has that figure: a restart continues from it."""
        sizes = {partition.id: partition.garbage for partition in self._local.values() if partition.garbage}
        raw = layout.encode_garbage(self.committer.garbage.index, sizes)
        if raw != self._remembered:
            self.committer.put_metadata(layout.GARBAGE, raw)
            self._remembered = raw

    def note_compared(self, partition: Partition) -> None:
        """Writes when the partition's replicas were compared, and the result."""
        if partition.compared is not None and not partition.dropped:
            self.committer.put_metadata(layout.compared_key(partition.id), partition.compared.encoded())

    def operations(self) -> int:
        """How many operations callers have made on all partitions that are led here: whether they would notice a busy disk."""
        return sum(partition.activity.reads + partition.activity.writes for partition in self.table)

    def restart_empty(self) -> None:
        """The engine was replaced by an empty one: every replica needs a snapshot."""
        self._founding = False
        for partition in self._local.values():
            partition.quarantined, partition.garbage = False, 0
            self._drop_contents(partition)
        self.orphaned_ranges.load(None)
        self.committer.garbage.index, self._remembered = 0, layout.encode_garbage(0, {})
        self.committer.engine_replaced()

    def converge(self, assigned: Iterable[Assignment]) -> list[Divergence]:
        """Holds what the map assigns from now on, and returns what differed. The metadata goes to disk with, or before, the
        first write that rests on it; what the node holds no more is deleted in the background.
        """
        outcome = converge(self._local.values(), assigned, self.weigh, founding=self._founding)
        for partition in outcome.dropped:
            partition.dropped = True
            self.committer.delete_metadata(partition.id)
            self._active.pop(partition.id, None)
        for partition in outcome.changed:
            persisting = self.committer.persist_metadata(partition)
            if partition in outcome.moved:
                partition.persisting = persisting
        self._local = {partition.id: partition for partition in outcome.held}
        self.orphaned_ranges.change(outcome.orphaned_ranges, [partition.range for partition in outcome.held])
        self._show()
        return outcome.divergences

    def is_held(self, key: bytes) -> bool:
        """Whether this node holds a replica of the key's partition, as far as is known. Looks at all of them."""
        return not self._is_loaded or any(partition.range.contains(key) for partition in self._local.values())

    def activate(self, partition: Partition) -> None:
        """Serves a partition, as its primary."""
        if partition.id not in self._active:
            partition.estimate.taken_over(partition.log.last)
        self._active[partition.id] = partition
        self._show()

    def deactivate(self, partition: Partition) -> None:
        """Stops serving it."""
        if self._active.pop(partition.id, None) is not None:
            partition.estimate.left(partition.log.last)
            self._show()

    def _show(self) -> None:
        self.table = PartitionTable(self._active.values())

    def get(self, key: bytes, epoch: int, now_ms: int) -> Stored | None:
        """The live record, or None. Raises NotOwned, Corrupt."""
        raw = self.get_encoded(key, epoch, now_ms)
        return None if raw is None else layout.decode_record(raw)

    def get_encoded(self, key: bytes, epoch: int, now_ms: int) -> bytes | None:
        """As `get`, the record as it lies on disk."""
        partition = self.table.owner(key, epoch)
        if partition.lease is not FOR_EVER:
            check_lease(partition, self._monotonic())
        activity = partition.activity
        reads = activity.reads = activity.reads + 1
        try:
            raw = self._engine.get(_DATA + key) if reads % SAMPLE else self._timed_get(key, activity)
        except EngineCorruption as error:
            raise self.quarantine(key, error) from error
        if raw is None:
            return None
        if raw[1]:
            if layout.expires_at(raw) <= now_ms:
                return None
            activity.read_bytes += len(key) + len(raw) - layout.HEADER_EXPIRES_BYTES
        else:
            activity.read_bytes += len(key) + len(raw) - _HEADER_BYTES
        return raw

    def _timed_get(self, key: bytes, activity: Activity) -> bytes | None:
        begun = self._monotonic()
        raw = self._engine.get(_DATA + key)
        activity.timed_read(key, self._monotonic() - begun)
        return raw

    async def scan(
        self,
        wanted: KeyRange,
        limit: int,
        epoch: int,
        now_ms: int,
        *,
        reverse: bool,
        most: int = limits.MAX_SCAN_BYTES,
    ) -> Page:
        """A page of up to `limit` live records, of about `most` bytes, from the partition that the scan starts in and those
        that follow it on this node; its `resume_key` leads on to the next node. `epoch`: of the partition that it starts in.

        Raises NotOwned, Corrupt, QueueFull.
        """
        table = self.table
        first = table.owner_below(wanted.end, epoch) if reverse else table.owner(wanted.start, epoch)
        if self._scans >= MAX_SCANS:
            raise QueueFull(f"{self._scans} scans are under way", 0.1)
        self._scans += 1
        try:
            stretch = table.stretch(first, wanted, reverse=reverse)
            try:
                return await self._scan(stretch, wanted, limit, most, now_ms, reverse=reverse)
            except EngineCorruption:
                if len(stretch) == 1:
                    raise
                return await self._scan([first], wanted, limit, most, now_ms, reverse=reverse)
        except EngineCorruption as error:
            raise self.quarantine(wanted.intersection(first.range).start, error) from error
        finally:
            self._scans -= 1

    async def _scan(
        self, stretch: Sequence[Partition], wanted: KeyRange, limit: int, most: int, now_ms: int, *, reverse: bool
    ) -> Page:
        here = wanted.intersection(KeyRange(stretch[0].range.start, stretch[-1].range.end))
        call = partial(reads.scan_page, self._engine, here, limit, most, now_ms, reverse=reverse)
        page = await self._offload(partial(self._timed, call))
        for partition in stretch:  # the page is of some moment before now
            check_lease(partition, self._monotonic())
        count_page(stretch, page, reverse=reverse)
        if page.resume_key is None:
            page.resume_key = behind(wanted, here, reverse=reverse)
        return page

    def _timed(self, read: Callable[[], Page]) -> Page:
        begun = self._monotonic()
        page = read()
        page.seconds = self._monotonic() - begun
        return page

    def quarantine(self, key: bytes, error: EngineCorruption) -> Corrupt:
        """Takes the partition of a corrupt block out of service; the others go on."""
        try:
            partition = self.table.owner(key)
        except NotOwned:
            return Corrupt(str(error))
        partition.quarantined = True
        self._observer.observe(PartitionQuarantined(partition.id, f"corrupt data: {error}"))
        return Corrupt(f"partition {partition.id} is quarantined: {error}")

    def weigh_replicas(self) -> int:
        """Bytes on disk of all partitions of this node, roughly: everything but what is to be deleted. The controller asks each
        second, and a node may have thousands of partitions.
        """
        orphaned = sum(map(self.weigh, self.orphaned_ranges.ranges))
        return max(0, self.weigh(KeyRange.everything()) - orphaned)

    def weigh(self, key_range: KeyRange) -> int:
        """Bytes on disk of a range, roughly."""
        return self._engine.approximate_size(*layout.data_bounds(key_range))
