"""Candidates' questions to one node, gathered: a node that fails leaves hundreds of partitions, and a call for each of
them would keep everybody from sending heartbeats, of which more elections would follow.
"""

import asyncio
from collections.abc import Awaitable, Callable

from dstk.v1 import replication_pb2 as pb
from dstk_storage.adapters import peer_wire as wire
from dstk_storage.domain.replication.ports import Vote

Send = Callable[[pb.RequestVoteRequest], Awaitable[pb.RequestVoteResponse]]


class VoteRequests:
    """What is asked in one turn of the event loop goes in one message, and is answered when all of it is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: list[tuple[pb.VoteRequest, asyncio.Future[Vote | None]]] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def ask(self, question: pb.VoteRequest) -> Vote | None:
        """The answer; None: no whole replica is there. Raises what `send` does, and InvalidArgument for a malformed answer."""
        answer: asyncio.Future[Vote | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if len(self._waiting) == 1:
            task = asyncio.create_task(self._exchange())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return await answer

    async def _exchange(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            response = await self._send(pb.RequestVoteRequest(votes=[question for question, _ in waiting]))
            votes = wire.read_vote_responses(response, len(waiting))
        except asyncio.CancelledError:  # how gRPC ends the calls of a channel that is closed
            for _, answer in waiting:
                answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            for _, answer in waiting:
                if not answer.done():  # else its candidate waits no more
                    answer.set_exception(error)
        else:
            for (_, answer), vote in zip(waiting, votes, strict=True):
                if not answer.done():
                    answer.set_result(vote)
