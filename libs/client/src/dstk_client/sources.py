"""Chooses the server to read the map from. Pure: events in, an address out."""

from collections.abc import Sequence

from dstk.v1 import topology_pb2
from dstk_service.backoff import Backoff

PATIENCE = Backoff(first=1.0, longest=32.0)


class Sources:
    """The servers that serve the map: the seeds, and every node of the last map. `current` is the one to use.

    A server that fails goes to the end of the line. Seeds always stay, because every node may have moved.
    """

    def __init__(self, seeds: Sequence[str]) -> None:
        self._seeds = tuple(dict.fromkeys(seeds))
        self._line = list(self._seeds)
        self._nodes: dict[str, str] = {}
        self._failures = 0

    @property
    def current(self) -> str:
        """The address of the server to use."""
        return self._line[0]

    @property
    def patience(self) -> float:
        """Seconds within which the first answer must arrive. Longer each time that all servers have failed, for a large map."""
        return PATIENCE.delay(1 + self._failures // len(self._line))

    def failed(self) -> None:
        """The current server has failed."""
        self._failures += 1
        self._line.append(self._line.pop(0))

    def learn(self, update: topology_pb2.TopologyUpdate) -> None:
        """The current server has sent this update."""
        self._failures = 0
        if update.full and update.nodes:
            self._nodes.clear()
        for node in update.nodes:
            self._nodes[node.id] = node.address
        for name in update.removed_nodes:
            if len(self._nodes) > 1:  # the last node may only be slow to renew its lease
                self._nodes.pop(name, None)
        known = dict.fromkeys([*self._seeds, *self._nodes.values()])
        first = self._line[0]  # the stream goes on, whatever the map says of its server
        # new nodes in random order, so that the clients of a lost node do not all switch to the same one
        self._line = [first, *(each for each in self._line[1:] if each in known), *(known.keys() - set(self._line))]
