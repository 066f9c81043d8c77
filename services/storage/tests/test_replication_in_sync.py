"""Which nodes may be in sync: those that leave, hang or come and go may not."""

import math

from kit.machines import A, B

from dstk_storage.domain.replication.in_sync import HANGING_SECONDS, LEAVING_SECONDS, FlapDamper, InSyncManager

LEASE, STALL = 0.7, 2.0


def test_a_node_that_is_silent_again_and_again_is_readmitted_later_each_time() -> None:
    damper, ends = FlapDamper(), []
    for at in range(0, 70, 10):
        for of_another_partition in (0.0, 0.1, 0.5):
            damper.note(at + of_another_partition, LEASE)
        ends.append(damper.readmitted_at() - at)
    assert ends == [-math.inf, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_a_node_that_was_silent_long_ago_is_forgiven() -> None:
    damper = FlapDamper()
    for at in (0, 5, 36):
        damper.note(at, LEASE)
    assert damper.readmitted_at() == -math.inf


def test_a_node_that_leaves_may_not_join_until_it_is_seen_to_be_gone() -> None:
    manager = InSyncManager(LEASE, STALL)
    manager.note_leave(B, 10.0)
    assert not manager.may_join(B, 10.0)
    assert manager.may_join(A, 10.0)
    assert manager.may_join(B, 10.0 + LEAVING_SECONDS)
    manager.note_leave(B, 10.0)
    manager.note_unreachable(B, 11.0)
    assert manager.may_join(B, 11.0)
    manager.note_retired([B])
    assert not manager.may_join(B, 60.0)


def test_a_node_whose_disk_hangs_may_not_join_before_it_has_written_something() -> None:
    manager = InSyncManager(LEASE, STALL)
    manager.note_hang(B, 10.0)
    assert not manager.may_join(B, 10.0 + HANGING_SECONDS - 1)
    manager.note_unreachable(B, 15.0)
    assert not manager.may_join(B, 15.0 + HANGING_SECONDS - 1), "while it is away, the time does not run"
    manager.note_written(B)
    assert manager.may_join(B, 15.0)


def test_the_own_disk_hangs_when_one_write_takes_twice_the_patience_with_others() -> None:
    manager, first, second = InSyncManager(LEASE, STALL), object(), object()
    assert not manager.watch_own_disk(first, 0.0)
    assert not manager.watch_own_disk(second, 3.9)
    assert not manager.watch_own_disk(second, 7.8)
    assert manager.watch_own_disk(second, 7.9)
    assert manager.own_disk_hangs
    assert not manager.watch_own_disk(second, 8.0), "told once"
    assert manager.watch_own_disk(None, 8.1)
    assert not manager.own_disk_hangs
