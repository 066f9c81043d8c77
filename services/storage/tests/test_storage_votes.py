"""Candidates' questions to one node, gathered into few messages."""

import asyncio

import pytest

from dstk.v1 import replication_pb2 as pb
from dstk_service.errors import InvalidArgument
from dstk_service.testing import eventually
from dstk_storage.adapters.peer_votes import VoteRequests
from dstk_storage.domain.history import Position
from dstk_storage.domain.replication.ports import Vote


class VotingNode:
    """Answers every question with its partition's number as the epoch; none of partition 7."""

    def __init__(self) -> None:
        self.requests: list[pb.RequestVoteRequest] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.problem: BaseException | None = None
        self.left_out = 0

    async def request_vote(self, request: pb.RequestVoteRequest) -> pb.RequestVoteResponse:
        self.requests.append(request)
        await self.answering.wait()
        if self.problem is not None:
            raise self.problem
        numbers = [question.partition_id for question in request.votes]
        votes = [
            pb.VoteResponse(found=number != 7, position=pb.Position(epoch=number, sequence=1), promised=number)
            for number in numbers
        ]
        return pb.RequestVoteResponse(votes=votes[self.left_out :])


def question(number: int) -> pb.VoteRequest:
    return pb.VoteRequest(partition_id=number, epoch=9, known=8)


@pytest.fixture
def node() -> VotingNode:
    return VotingNode()


async def test_what_is_asked_in_one_turn_goes_in_one_message_and_each_gets_its_own_answer(node: VotingNode) -> None:
    vote_requests = VoteRequests(node.request_vote)
    answers = await asyncio.gather(*(vote_requests.ask(question(number)) for number in range(1, 301)))
    assert len(node.requests) == 1
    for number, answer in enumerate(answers, 1):
        assert answer == (None if number == 7 else Vote(Position(number, 1), number))


async def test_what_is_asked_later_does_not_wait_for_what_was_asked_before(node: VotingNode) -> None:
    vote_requests = VoteRequests(node.request_vote)
    node.answering.clear()
    first = asyncio.create_task(vote_requests.ask(question(1)))
    await eventually(lambda: len(node.requests) == 1)
    second = asyncio.create_task(vote_requests.ask(question(2)))
    await eventually(lambda: len(node.requests) == 2)
    assert [len(request.votes) for request in node.requests] == [1, 1]
    node.answering.set()
    assert await first != await second


async def test_a_failure_reaches_all_that_have_asked_but_those_that_have_gone(node: VotingNode) -> None:
    vote_requests = VoteRequests(node.request_vote)
    node.answering.clear()
    node.problem = ConnectionError("gone")
    asking = [asyncio.create_task(vote_requests.ask(question(number))) for number in range(1, 4)]
    await eventually(lambda: node.requests)
    asking[0].cancel()
    node.answering.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, ConnectionError, ConnectionError]
    node.problem = None
    assert await vote_requests.ask(question(4)) is not None


async def test_an_answer_that_lacks_some_is_refused(node: VotingNode) -> None:
    vote_requests = VoteRequests(node.request_vote)
    node.left_out = 1
    outcomes = await asyncio.gather(*(vote_requests.ask(question(n)) for n in (1, 2)), return_exceptions=True)
    assert all(isinstance(outcome, InvalidArgument) for outcome in outcomes)


async def test_when_the_call_is_cancelled_so_are_those_that_wait(node: VotingNode) -> None:
    """As gRPC does when its channel is closed."""
    vote_requests = VoteRequests(node.request_vote)
    node.problem = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await vote_requests.ask(question(1))
