"""Which figures a caller receives that names an earlier answer."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from dstk_keytypes import PartitionId
from dstk_storage.application import changes as module
from dstk_storage.application.changes import Answer, Changes

Figures = Iterable[tuple[PartitionId, int]]


class Counts:
    """Partitions p1, p2, ... with a count each, as they are now; `looks`: how often they were looked at."""

    def __init__(self, **counts: int) -> None:
        self.changes, self.looks = Changes[int]("s"), 0
        self.now: Mapping[str, int] = counts

    async def since(self, session: str = "", version: int = 0, **now: int) -> Answer[int]:
        self.now = now or self.now
        return await self.changes.since(session, version, self.look)

    async def look(self, _version: int) -> AsyncIterator[Figures]:
        self.looks += 1
        for name, count in dict(self.now).items():
            yield [(PartitionId(int(name[1:])), count)]
            await asyncio.sleep(0)


async def test_a_caller_that_names_its_last_answer_receives_only_what_has_changed() -> None:
    counts = Counts()
    first = await counts.since(p1=1, p2=1)
    assert (first.complete, first.figures) == (True, [(1, 1), (2, 1)])
    second = await counts.since(first.session, first.version, p1=1, p2=2, p3=0)
    assert (second.complete, second.figures, second.removed) == (False, [(2, 2), (3, 0)], [])
    assert (await counts.since(second.session, second.version)).figures == []
    again = await counts.since(first.session, first.version)
    assert again.figures == [(2, 2), (3, 0)], "an answer that was lost does no harm"


async def test_partitions_that_have_left_are_told_and_may_come_back() -> None:
    counts = Counts()
    first = await counts.since(p1=1, p2=1)
    left = await counts.since(first.session, first.version, p1=1)
    assert (left.complete, left.figures, left.removed) == (False, [], [2])
    back = await counts.since(first.session, first.version, p1=1, p2=1)
    assert (back.complete, back.figures, back.removed) == (False, [(2, 1)], [])


async def test_a_caller_of_another_process_or_from_long_ago_receives_everything() -> None:
    counts = Counts()
    first = await counts.since(p1=1, p2=1, p3=1)
    second = await counts.since(first.session, first.version)
    assert (await counts.since("another process", second.version)).complete
    assert (await counts.since("s", 1000)).complete, "a version that never was"
    with patch.object(module, "MAX_REMOVED", 1):
        third = await counts.since(second.session, second.version, p1=1)
    assert (third.complete, third.figures, third.removed) == (True, [(1, 1)], [])
    assert not (await counts.since(third.session, third.version)).complete


async def test_callers_that_wait_at_the_same_moment_share_a_look() -> None:
    counts = Counts(p1=1, p2=1)
    first = asyncio.create_task(counts.since())
    await asyncio.sleep(0)
    assert counts.looks == 1
    counts.now = {"p1": 2, "p2": 1}
    answers = await asyncio.gather(first, *(counts.since() for _ in range(5)))
    assert counts.looks == 2, "one that began before they came does not count"
    assert [answer.figures[0] for answer in answers[1:]] == [(1, 2)] * 5


async def test_a_look_that_is_given_up_loses_no_change() -> None:
    counts = Counts(p1=1, p2=1)
    first = await counts.since()
    counts.now = {"p1": 2, "p2": 1}
    given_up = asyncio.create_task(counts.since(first.session, first.version))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait((given_up,))
    assert counts.looks == 2
    assert (await counts.since(first.session, first.version)).figures == [(1, 2)]


STEP = st.tuples(st.dictionaries(st.integers(1, 4), st.integers(0, 2)), st.integers(0, 2), st.booleans())


@given(st.lists(STEP, max_size=12), st.integers(1, 3))
def test_callers_that_follow_the_changes_know_the_current_figures(
    steps: list[tuple[dict[int, int], int, bool]], remembered: int
) -> None:
    """Three callers ask when they like, and some of the answers are lost."""
    with patch.object(module, "MAX_REMOVED", remembered):
        asyncio.run(follow(steps))


async def follow(steps: list[tuple[dict[int, int], int, bool]]) -> None:
    counts = Counts()
    names: list[tuple[str, int]] = [("", 0)] * 3
    known: list[dict[int, int]] = [{}, {}, {}]
    for current, caller, lost in steps:
        counts.now = {f"p{number}": count for number, count in current.items()}
        answer = await counts.since(*names[caller])
        if lost:
            continue
        kept = {} if answer.complete else {k: v for k, v in known[caller].items() if k not in answer.removed}
        known[caller] = {**kept, **dict(answer.figures)}
        names[caller] = answer.session, answer.version
        assert known[caller] == current
