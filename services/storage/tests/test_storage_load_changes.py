"""Which figures a caller receives that names an earlier answer."""

from hypothesis import given
from hypothesis import strategies as st
from kit.machines import WHOLE, A, B, C, P, PureNode, info_of

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.application.load_changes import LoadAnswer, LoadChanges, PartitionFigures
from dstk_storage.application.replicas import NodeReplicas

RANGE = KeyRange()
D = NodeId("d")


def figures(**operations: int) -> list[PartitionFigures]:
    """Partitions p1, p2, ... with so many operations."""
    return [PartitionFigures(PartitionId(int(name[1:])), RANGE, 0, 0, count, ()) for name, count in operations.items()]


def reported(answer: LoadAnswer) -> dict[int, int]:
    return {each.partition: each.operations for each in answer.figures}


def test_a_caller_that_names_its_last_answer_receives_only_what_has_changed() -> None:
    changes = LoadChanges("s")
    first = changes.answer(figures(p1=1, p2=1), "", 0)
    assert (first.complete, reported(first)) == (True, {1: 1, 2: 1})
    second = changes.answer(figures(p1=1, p2=2, p3=0), first.session, first.version)
    assert (second.complete, reported(second)) == (False, {2: 2, 3: 0})
    assert reported(changes.answer(figures(p1=1, p2=2, p3=0), second.session, second.version)) == {}
    again = changes.answer(figures(p1=1, p2=2, p3=0), first.session, first.version)
    assert reported(again) == {2: 2, 3: 0}, "an answer that was lost does no harm"


def test_every_figure_counts() -> None:
    changes, one = LoadChanges("s"), figures(p1=1)[0]
    answer = changes.answer([one], "", 0)
    for changed in (
        one._replace(range=KeyRange(b"a")),
        one._replace(bytes=1),
        one._replace(records=1),
        one._replace(silent=((NodeId("n1"), 1.0),)),
    ):
        answer = changes.answer([changed], answer.session, answer.version)
        assert answer.figures == [changed]


def test_an_answer_is_complete_when_a_partition_has_left_or_the_caller_has_another_session() -> None:
    changes = LoadChanges("s")
    first = changes.answer(figures(p1=1, p2=1), "", 0)
    left = changes.answer(figures(p1=1), first.session, first.version)
    assert (left.complete, reported(left)) == (True, {1: 1})
    assert not changes.answer(figures(p1=1), left.session, left.version).complete
    assert changes.answer(figures(p1=1), first.session, first.version).complete
    assert changes.answer(figures(p1=1), "another process", left.version).complete
    assert changes.answer(figures(p1=1), "s", 1000).complete, "a version that never was"


def test_only_followers_that_are_alive_out_of_sync_and_silent_are_named() -> None:
    node = PureNode(A, info_of(A, B, C, D, in_sync=(A, B)))
    replicas = NodeReplicas(node.machines.replicas, lambda replica, node, progress: 10.0)
    assert list(replicas.figures(12.5, {A, B, C, D})) == [], "it is a follower itself"
    node.lead()
    node.replica.partition.activity.reads, node.replica.partition.activity.writes = 3, 4
    node.replica.partition.estimate.bytes = 9.6
    assert list(replicas.figures(12.5, {A, B, C})) == [PartitionFigures(P, WHOLE, 10, 0, 7, ((C, 2.5),))]
    assert next(replicas.figures(10.5, {A, B, C})).silent == ()


STEP = st.tuples(st.dictionaries(st.integers(1, 4), st.integers(0, 2)), st.integers(0, 2), st.booleans())


@given(st.lists(STEP, max_size=12))
def test_callers_that_follow_the_changes_know_the_current_figures(
    steps: list[tuple[dict[int, int], int, bool]],
) -> None:
    """Three callers ask when they like, and some of the answers are lost."""
    changes = LoadChanges("s")
    names: list[tuple[str, int]] = [("", 0)] * 3
    known: list[dict[int, int]] = [{}, {}, {}]
    for current, caller, lost in steps:
        answer = changes.answer(figures(**{f"p{number}": count for number, count in current.items()}), *names[caller])
        if lost:
            continue
        known[caller] = reported(answer) if answer.complete else {**known[caller], **reported(answer)}
        names[caller] = answer.session, answer.version
        assert known[caller] == current
