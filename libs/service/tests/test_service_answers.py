"""The budget of answers: turns, room, and callers who take nothing."""

import asyncio
from typing import Any

import pytest
from kit.spoiled import holds_once

from dstk_service import unread
from dstk_service.answers import PART_BYTES, SMALL_BYTES, Answers
from dstk_service.errors import Overloaded
from dstk_service.testing import eventually


class Caller:
    """A call whose caller reads when `reads` is set. `sent`: what it was given."""

    def __init__(self, peer: str = "ipv4:1") -> None:
        self._peer = peer
        self.reads = asyncio.Event()
        self.sent: list[int] = []

    def peer(self) -> str:
        return self._peer

    async def write(self, data: bytes) -> None:
        await self.reads.wait()
        self.sent.append(len(data))


async def begun(*coroutines: Any) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(each) for each in coroutines]
    await asyncio.sleep(0)
    return tasks


async def test_what_does_not_fit_waits_until_something_is_given_back() -> None:
    answers = Answers(limit=10)
    first = await answers.reserve(6, "a")
    (second,) = await begun(answers.reserve(6, "b"))
    assert not second.done()
    first.release()
    assert (await second).size == answers.held == 6


async def test_an_answer_that_alone_is_larger_than_all_room_gets_it_alone() -> None:
    answers = Answers(limit=10)
    first = await answers.reserve(1, "a")
    (large,) = await begun(answers.reserve(50, "a"))
    first.release()
    (await large).release()
    assert answers.held == 0


async def test_connections_take_turns_however_much_one_of_them_asks_for() -> None:
    answers, order = Answers(limit=1), list[str]()
    first = await answers.reserve(1, "greedy")

    async def ask(peer: str) -> None:
        with await answers.reserve(1, peer):
            order.append(peer)

    tasks = await begun(*(ask("greedy") for _ in range(5)), ask("other"), ask("third"))
    first.release()
    await asyncio.gather(*tasks)
    assert order == ["greedy", "other", "third", *["greedy"] * 4]


async def test_a_caller_that_goes_while_it_waits_leaves_nothing_behind() -> None:
    answers = Answers(limit=1)
    first = await answers.reserve(1, "a")
    (gone, next_) = await begun(answers.reserve(1, "a"), answers.reserve(1, "a"))
    gone.cancel()
    first.release()
    (await next_).release()
    (late,) = await begun(answers.reserve(1, "a"))
    late.cancel()  # in the moment in which it is given
    await asyncio.gather(late, return_exceptions=True)
    assert answers.held in {0, 1}
    if not late.cancelled():
        late.result().release()
    assert answers.held == 0


async def test_small_answers_are_sent_whatever_is_held() -> None:
    answers, caller = Answers(limit=10), Caller()
    caller.reads.set()
    assert answers.room == PART_BYTES
    answers.take(1000)
    assert answers.room == SMALL_BYTES
    await answers.write(caller, bytes(SMALL_BYTES))
    assert caller.sent == [SMALL_BYTES]


async def test_an_answer_counts_until_it_is_taken() -> None:
    answers, caller = Answers(), Caller()
    (task,) = await begun(answers.write(caller, bytes(SMALL_BYTES + 1)))
    assert answers.held == SMALL_BYTES + 1
    caller.reads.set()
    await task
    assert answers.held == 0


async def test_the_room_of_a_caller_that_takes_nothing_goes_to_others_and_its_connection_gets_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unread, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(unread, "CONTENDED_SECONDS", 0.05)
    answers, caller = Answers(limit=SMALL_BYTES), Caller()
    written, refused = await begun(answers.write(caller, bytes(SMALL_BYTES + 1)), answers.reserve(1, "ipv4:1"))
    (other,) = await begun(answers.reserve(1, "ipv4:2"))
    with pytest.raises(Overloaded):
        await refused
    assert answers.held == (await other).size
    caller.reads.set()
    await written
    assert answers.held == 1


async def test_a_connection_that_takes_something_keeps_its_other_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "LOOK_SECONDS", 0.01)

    async def keeps(stalled_seconds: float) -> None:
        monkeypatch.setattr(unread, "STALLED_SECONDS", stalled_seconds)
        answers, slow, quick = Answers(), Caller(), Caller()
        (task,) = await begun(answers.write(slow, bytes(SMALL_BYTES + 1)))
        quick.reads.set()
        for _ in range(12):
            await answers.write(quick, bytes(SMALL_BYTES + 1))
            await asyncio.sleep(stalled_seconds / 6)
        slow.reads.set()
        await asyncio.gather(task, return_exceptions=True)
        assert slow.sent == [SMALL_BYTES + 1]

    await holds_once(keeps, (0.3, 1, 3, 10))


async def test_nothing_is_looked_at_any_more_when_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "LOOK_SECONDS", 0.01)
    answers, caller = Answers(), Caller()
    caller.reads.set()
    await answers.write(caller, bytes(SMALL_BYTES + 1))
    await eventually(lambda: not answers._readers._looking)
