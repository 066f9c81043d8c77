"""What other nodes are to be sent of this node's log: due replicas by node."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from dstk_keytypes import NodeId
from dstk_storage.domain.replication.replica import Replica

MESSAGES_AT_ONCE = 3
"""On their way to one node. With one, a batch waited for the message before it as long as for its own."""


@dataclass(slots=True)
class Queue:
    """The replicas of which one node is to be sent something, in the order in which that became so."""

    due: dict[Replica, None] = field(default_factory=dict)
    work: asyncio.Event = field(default_factory=asyncio.Event)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MESSAGES_AT_ONCE))

    def add(self, replica: Replica) -> None:
        """The node is to be sent something of this replica."""
        self.due[replica] = None
        self.work.set()

    def take(self) -> dict[Replica, None]:
        """Everything that is due."""
        self.work.clear()
        due, self.due = self.due, {}
        return due


class ShippingQueues:
    """One queue for each node. `opened` is told of each new one."""

    def __init__(self, opened: Callable[[NodeId, Queue], None]) -> None:
        self._opened = opened
        self._queues: dict[NodeId, Queue] = {}

    def add(self, replica: Replica, node: NodeId) -> None:
        """The node is to be sent something of this replica."""
        queue = self._queues.get(node)
        if queue is None:
            queue = self._queues[node] = Queue()
            self._opened(node, queue)
        queue.add(replica)
