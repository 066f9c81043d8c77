"""The log of a partition: its numbers, its entries in memory, and those who follow it."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from kit.logs import chain, entry, log_of, put_on_disk

from dstk_storage.domain.history import START, History, Position, Term
from dstk_storage.domain.log import MAX_TAIL_BYTES, SMALLEST_TAIL_BYTES, Entry, PartitionLog, Subscription, share


class Woken:
    """Counts how often it was woken."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def test_the_log_gives_what_follows_a_position_that_it_knows() -> None:
    entries = chain(1, 1, 2)
    log = log_of(*entries)
    assert log.entries_after(START) == entries
    assert log.entries_after(Position(1, 2)) == entries[1:]
    assert log.entries_after(Position(2, 6)) == []
    assert log.entries_after(Position(1, 3)) is None, "not the end of an entry"
    assert log.entries_after(Position(2, 2)) is None, "of another history"
    assert log.entries_after(Position(2, 8)) is None, "beyond the tail"


def test_the_log_evicts_the_oldest_entries_and_gives_at_least_one_at_a_time() -> None:
    entries = chain(1, 1, 1, 1)
    log = log_of(*entries, max_bytes=50)
    assert log.entries_after(START) is None
    assert log.entries_after(entries[1].position, max_bytes=1) == [entries[2]]
    log.resize(1)
    assert log.entries_after(entries[1].position) is None
    assert log.entries_after(entries[2].position) == [entries[3]], "the newest one stays"


def test_a_truncated_log_continues_at_the_position() -> None:
    entries = chain(1, 1, 2)
    log = log_of(*entries)
    log.truncate(Position(1, 4))
    assert log.entries_after(START) == entries[:2]
    assert (log.tail, log.handed, log.last) == (Position(1, 4), Position(1, 4), 4)
    log.truncate(Position(9, 9))
    assert log.entries_after(START) is None
    assert log.entries_after(Position(9, 9)) == []


def test_an_entry_out_of_its_place_is_not_accepted() -> None:
    with pytest.raises(AssertionError):
        PartitionLog().append(entry(Position(1, 7), 1, b"k"))


def test_nothing_goes_to_the_disk_that_was_not_accepted_nor_twice() -> None:
    log = log_of(*chain(1, 1))
    with pytest.raises(AssertionError):
        log.hand(Position(1, 6))
    log.hand(Position(1, 4))
    with pytest.raises(AssertionError):
        log.hand(Position(1, 2))


def test_numbers_are_assigned_ahead_of_the_entries_and_fall_only_with_what_is_forgotten() -> None:
    log = PartitionLog(History((Term(1, 1),), 9))
    assert [log.assign(1), log.assign(3), log.last] == [10, 11, 13]
    log.append(entry(Position(1, 9), 1, b"a", b"b"))
    assert log.last == 13, "two are still in the gathering batch"
    log.truncate(log.handed)
    assert (log.tail, log.last) == (Position(1, 9), 9)
    log.append(entry(Position(1, 9), 2, b"a"))
    assert log.last == 10, "a follower counts as its primary does"


def test_what_was_handed_before_a_reset_is_not_the_logs_any_more() -> None:
    (first,) = chain(1)
    log = log_of(first)
    log.hand(first.position)
    log.reset(History())
    log.applied(History((Term(1, 1),), 2))
    assert (log.position, log.tail, log.last) == (START, START, 0)
    log.reset(History((Term(4, 1),), 7))
    assert (log.position, log.tail, log.handed, log.last) == (*[Position(4, 7)] * 3, 7)


def test_what_is_on_its_way_to_the_disk_still_counts_behind_a_change_of_range() -> None:
    (first,) = chain(1)
    log = log_of(first)
    log.hand(first.position)
    log.clear(log.handed)
    assert log.entries_after(START) is None
    log.applied(History((Term(1, 1),), 2))
    assert log.position == log.tail == first.position


def test_many_logs_share_an_allowance() -> None:
    assert share(0) == share(1) == MAX_TAIL_BYTES
    assert share(1_000_000) == SMALLEST_TAIL_BYTES


def test_a_subscriber_is_woken_by_entries_and_gets_each_once() -> None:
    woken, entries, log = Woken(), chain(1, 1, 2), PartitionLog()
    feed = log.subscribe(START, woken)
    assert feed.next() == []
    for each in entries:
        log.append(each)
    assert woken.times == 3
    assert feed.next(max_bytes=1) == entries[:1]
    assert feed.next() == entries[1:]
    assert (feed.next(), feed.position) == ([], Position(2, 6))
    feed.close()
    log.append(*chain(2, after=log.tail))
    assert woken.times == 3


def test_a_subscriber_to_what_is_on_disk_gets_no_more_than_that() -> None:
    woken, entries = Woken(), chain(1, 1, 2)
    log = log_of(*entries)
    feed = log.subscribe(START, woken, applied_only=True)
    assert (feed.next(), woken.times) == ([], 0)
    put_on_disk(log, *entries[:2])
    assert woken.times == 2
    assert (feed.next(), feed.next()) == (entries[:2], [])
    put_on_disk(log, entries[2])
    assert feed.next() == entries[2:]


def test_a_subscriber_behind_the_memory_needs_a_snapshot_and_continues_behind_it() -> None:
    entries = chain(1, 1, 1)
    log = log_of(*entries, max_bytes=1)
    feed = log.subscribe(START, Woken())
    assert feed.next() is None
    feed.seek(entries[1].position)
    assert feed.next() == entries[2:]


def test_a_subscriber_learns_that_what_it_has_was_truncated() -> None:
    woken, entries = Woken(), chain(1, 1)
    log = log_of(*entries)
    feed = log.subscribe(START, woken)
    assert feed.next() == entries
    log.truncate(Position(1, 2))
    assert woken.times == 1
    assert feed.next() is None
    log.append(*chain(2, after=Position(1, 2)))
    assert feed.next() is None, "another term has the same numbers"
    feed.seek(Position(1, 2))
    assert feed.next() == chain(2, after=Position(1, 2))


class LogMachine(RuleBasedStateMachine):
    """A log, a subscriber to everything and one to what is on disk. Each keeps what it was given, forgets what the log says
    that it cannot continue from, and so must hold a prefix of the log.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log, self.epoch = PartitionLog(max_bytes=100), 1
        self.entries: list[Entry] = []
        self.feeds = {applied: self.log.subscribe(START, Woken(), applied_only=applied) for applied in (False, True)}
        self.got: dict[bool, list[Entry]] = {False: [], True: []}

    @rule(count=st.integers(1, 3))
    def append(self, count: int) -> None:
        self.entries.append(entry(self.log.tail, self.epoch, *[b"key"] * count))
        self.log.append(self.entries[-1])

    @precondition(lambda self: self.log.position < self.log.tail)
    @rule()
    def apply(self) -> None:
        put_on_disk(self.log, next(each for each in self.entries if each.previous == self.log.position))

    @rule()
    def change_term(self) -> None:
        """What is not on disk is forgotten, as when a primary resigns; what follows is of another epoch."""
        self.log.truncate(self.log.position)
        self.entries = [each for each in self.entries if each.position <= self.log.position]
        self.epoch += 1

    @rule(applied=st.booleans(), max_bytes=st.sampled_from([1, 20, 1000]))
    def read(self, applied: bool, max_bytes: int) -> None:
        feed = self.feeds[applied]
        found = feed.next(max_bytes)
        if found is None:
            self.restart(feed, applied)
        else:
            self.got[applied] += found

    def restart(self, feed: Subscription, applied: bool) -> None:
        """As a snapshot would: it has what is on disk."""
        feed.seek(self.log.position)
        self.got[applied] = [each for each in self.entries if each.position <= self.log.position]

    @invariant()
    def whoever_reads_on_holds_a_prefix_of_the_log(self) -> None:
        for applied, feed in self.feeds.items():
            if feed.position == (self.log.position if applied else self.log.tail):
                assert self.got[applied] == [each for each in self.entries if each.position <= feed.position]
        assert [each for each in self.got[True] if each.position > self.log.position] == []

    @invariant()
    def positions_are_in_order(self) -> None:
        assert self.log.position <= self.log.handed <= self.log.tail
        assert self.log.last >= self.log.tail.seq


TestLogMachine = LogMachine.TestCase
