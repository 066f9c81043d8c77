"""Sends followers what they lack: a few messages at a time to each node, each with what all partitions have for it."""

from collections.abc import Callable, Sequence

from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_storage.domain.replication.ports import Peers, PeerUnreachable
from dstk_storage.domain.replication.primary_handler import PrimaryHandler, Sent
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.roster import Replicas
from dstk_storage.domain.replication.runtime.shipping import Queue
from dstk_storage.domain.replication.runtime.tasks import Tasks

RETRY_SECONDS = 0.05

Unreachable = Callable[[NodeId, PeerUnreachable], None]


class LogShipper:
    """One loop for each node."""

    def __init__(
        self,
        replicas: Replicas,
        primaries: PrimaryHandler,
        peers: Peers,
        clock: Clock,
        tasks: Tasks,
        flush: Callable[[], None],
        unreachable: Unreachable,
    ) -> None:
        self._replicas, self._primaries, self._peers, self._clock = replicas, primaries, peers, clock
        self._tasks, self._flush, self._unreachable = tasks, flush, unreachable

    async def serve(self, node: NodeId, queue: Queue) -> None:
        """Ships to the node until cancelled."""
        while True:
            await queue.work.wait()
            await queue.slots.acquire()
            due = list(queue.take())
            message = [sent for replica in due if (sent := self._primaries.next_append(replica, node)) is not None]
            self._flush()
            if message:
                self._tasks.spawn(self._exchange(node, queue, due, message))
            else:
                queue.slots.release()

    async def _exchange(self, node: NodeId, queue: Queue, due: Sequence[Replica], message: Sequence[Sent]) -> None:
        """One message, and what follows from its response."""
        try:
            answers = await self._peers.append(node, [sent.append for sent in message])
            now = self._clock.monotonic()
            for sent, answer in zip(message, answers, strict=True):
                replica = self._replicas.get(sent.append.partition)
                self._primaries.appended(node, replica, sent, answer, now)
            self._flush()
        except PeerUnreachable as error:
            self._unreachable(node, error)
            await self._clock.sleep(RETRY_SECONDS)
            for replica in due:
                if self._primaries.unreachable(replica, node):
                    queue.add(replica)
        finally:
            queue.slots.release()
