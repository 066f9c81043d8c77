"""The replicated log of one partition: which numbers its writes have, and its newest entries in memory."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from dstk_service.trace import TraceContext
from dstk_storage.domain.history import History, Position

MAX_TAIL_BYTES = 16 << 20
"""Keys and records that one partition keeps in memory, at most."""

ALL_TAILS_BYTES = 128 << 20
"""Keys and records that all partitions of a node keep in memory together, roughly."""

SMALLEST_TAIL_BYTES = 256 << 10


def share(logs: int) -> int:
    """Bytes that each of so many logs may keep in memory."""
    return max(SMALLEST_TAIL_BYTES, min(MAX_TAIL_BYTES, ALL_TAILS_BYTES // max(1, logs)))


@dataclass(slots=True)
class Entry:
    """A batch as it goes to followers. `previous`: the position of a replica that can apply it. Nobody changes one. It is not
    declared frozen, since each batch makes one: that takes 0.5 µs, and 1.1 µs if it is frozen.
    """

    previous: Position
    epoch: int
    first: int
    keys: Sequence[bytes]
    records: Sequence[bytes]
    trace: TraceContext | None = field(default=None, compare=False, repr=False)
    """The context of what brought it here; None: none of its writes is traced."""
    position: Position = field(init=False, compare=False, repr=False)
    """The position of a replica that has applied it."""
    size: int = field(init=False, compare=False, repr=False)
    """Bytes of keys and records. Kept, since each append, eviction and message asks for it."""

    def __post_init__(self) -> None:
        self.position = Position(self.epoch, self.first + len(self.keys) - 1)
        self.size = sum(map(len, self.keys)) + sum(map(len, self.records))

    def follows(self, epoch: int) -> bool:
        """Whether it comes right after `previous`, in an epoch between that one and `epoch`, its sender's."""
        return self.first == self.previous.seq + 1 and self.previous.epoch <= self.epoch <= epoch and len(self.keys) > 0


class PartitionLog:
    """The log of one replica, from the numbers that the primary assigns to the history that is on disk.

    Invariants:
     1. position (applied: on disk) <= handed (given to the disk) <= tail (the last accepted entry), and last >= tail.seq:
        `last` counts the batch that still gathers.
     2. The `previous` of each entry in memory is the position of the entry before it; the last one ends at `tail`. The oldest
        entries are evicted beyond the allowance, but never the newest one.
     3. `last` only falls where accepted entries are forgotten (`truncate`, `clear`, `reset`). It is never below the etag of a
        record on disk.
    """

    def __init__(self, history: History | None = None, max_bytes: int = MAX_TAIL_BYTES) -> None:
        self._history = history or History()
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._max_bytes = max_bytes
        self._tail = self._handed = self._history.position
        self.last = self._history.last
        """The last number that was assigned."""
        self.generation = 0
        """How often it has become another log: what the disk was given before is no part of it."""
        self._subscriptions: dict[Subscription, None] = {}

    @property
    def history(self) -> History:
        """The terms and the last number of what is on disk."""
        return self._history

    @property
    def position(self) -> Position:
        """The last write that is on disk."""
        return self._history.position

    @property
    def tail(self) -> Position:
        """The last accepted entry."""
        return self._tail

    @property
    def handed(self) -> Position:
        """The last entry that was given to the disk."""
        return self._handed

    def assign(self, count: int) -> int:
        """Gives numbers to the next `count` writes, and returns the first of them."""
        first = self.last + 1
        self.last += count
        return first

    def append(self, entry: Entry) -> None:
        """Accepts the next entry, and evicts the oldest ones beyond the allowance."""
        assert entry.previous == self._tail, f"{entry.previous} does not follow {self._tail}"
        self._entries.append(entry)
        self._bytes += entry.size
        self._tail = position = entry.position
        self.last = max(self.last, position.seq)
        if self._bytes > self._max_bytes:
            self._evict()
        if self._subscriptions:
            self._wake(applied_only=False)

    def hand(self, position: Position) -> None:
        """The entries up to `position` go to the disk."""
        assert self._handed <= position <= self._tail, f"{position} is not in {self._handed}..{self._tail}"
        self._handed = position

    def applied(self, history: History) -> None:
        """The writes of `history` are on disk. What was given to the disk before a reset is not this log's any more."""
        if history.position <= self._handed:
            self._history = history
            if self._subscriptions:
                self._wake(applied_only=True)

    def entries_after(self, position: Position, max_bytes: int = MAX_TAIL_BYTES) -> list[Entry] | None:
        """The entries that follow `position`, up to `max_bytes` but at least one; empty at the tail. None: the log does not
        hold what follows, or `position` is not in it.
        """
        if position == self._tail:
            return []
        behind: list[Entry] = []
        for entry in reversed(self._entries):  # most followers are a batch or two behind, and the log has 100,000
            behind.append(entry)
            if entry.previous <= position:
                break
        if not behind or behind[-1].previous != position:
            return None
        found: list[Entry] = []
        for entry in reversed(behind):
            found.append(entry)
            max_bytes -= entry.size
            if max_bytes <= 0:
                break
        return found

    def truncate(self, position: Position) -> None:
        """Forgets what was accepted behind `position`; the whole tail, when that is not in it."""
        while self._entries and self._entries[-1].position != position:
            self._bytes -= self._entries.pop().size
        self._stand(position)

    def clear(self, position: Position) -> None:
        """Forgets the entries in memory, and continues at `position`."""
        self._entries.clear()
        self._bytes = 0
        self._stand(position)

    def reset(self, history: History) -> None:
        """Becomes another log: what is on disk is `history`, which nothing that was accepted before is a part of."""
        self._history = history
        self.generation += 1
        self.clear(history.position)
        self.last = history.last

    def resize(self, max_bytes: int) -> None:
        """Changes the allowance of the entries in memory."""
        self._max_bytes = max_bytes
        self._evict()

    def subscribe(self, after: Position, wake: Callable[[], None], *, applied_only: bool = False) -> "Subscription":
        """A cursor behind `after`. `wake` is called when it may have more to give, and when the log has forgotten something;
        it runs inside the log's own methods, so that it must be cheap and must not change the log.
        """
        subscription = Subscription(self, after, wake, applied_only=applied_only)
        self._subscriptions[subscription] = None
        return subscription

    def unsubscribe(self, subscription: "Subscription") -> None:
        """Wakes the subscription no more."""
        self._subscriptions.pop(subscription, None)

    def _stand(self, position: Position) -> None:
        self._tail = self._handed = position
        self.last = position.seq
        self._wake()

    def _evict(self) -> None:
        while self._bytes > self._max_bytes and len(self._entries) > 1:
            self._bytes -= self._entries.popleft().size

    def _wake(self, *, applied_only: bool | None = None) -> None:
        """Wakes the subscriptions of this kind; by default, all of them."""
        for subscription in self._subscriptions:
            if applied_only is None or subscription.applied_only is applied_only:
                subscription.wake()


class Subscription:
    """A cursor in a log: a follower's, a change feed's, a backup's. The log may have several; an idle one costs nothing.

    `applied_only`: it is given only entries that are on disk.
    """

    __slots__ = ("_log", "applied_only", "position", "wake")

    def __init__(self, log: PartitionLog, after: Position, wake: Callable[[], None], *, applied_only: bool) -> None:
        self._log = log
        self.applied_only = applied_only
        self.wake = wake
        self.position = after
        """The last entry that it was given."""

    def next(self, max_bytes: int = MAX_TAIL_BYTES) -> list[Entry] | None:
        """The entries that follow, up to `max_bytes` but at least one, and moves behind them; empty: there are none yet. None:
        the log does not hold what follows, since it was truncated below the cursor, has other terms, or has evicted it. The
        subscriber needs a snapshot then, or must `seek`.
        """
        if self.applied_only and self.position == self._log.position:
            return []
        entries = self._log.entries_after(self.position, max_bytes)
        if entries and self.applied_only:
            end = self._log.position
            entries = list(takewhile(lambda entry: entry.position <= end, entries))
        if entries:
            self.position = entries[-1].position
        return entries

    def seek(self, position: Position) -> None:
        """Continues behind `position`."""
        self.position = position

    def close(self) -> None:
        """Ends it: it is woken no more."""
        self._log.unsubscribe(self)
