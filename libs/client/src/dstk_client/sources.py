"""Which server to read the map from. Pure: what happens in, an address out."""

from collections.abc import Sequence

from dstk.v1 import topology_pb2

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 32.0


class Sources:
    """The seeds, and every node of the map that was read last: each serves the map. `current` is to be asked.

    One that fails goes to the end of the line. Seeds stay for ever: they are all that is left when every node has moved.
    """

    def __init__(self, seeds: Sequence[str]) -> None:
        self._seeds = tuple(dict.fromkeys(seeds))
        self._line = list(self._seeds)
        self._nodes: dict[str, str] = {}
        self._failures = 0

    @property
    def current(self) -> str:
        """Its address."""
        return self._line[0]

    @property
    def patience(self) -> float:
        """Seconds until its first answer must be there. Longer each time that all have failed: a large map takes its time."""
        rounds = self._failures // len(self._line)
        return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2**rounds))

    def failed(self) -> None:
        """The current one does not serve the map."""
        self._failures += 1
        self._line.append(self._line.pop(0))

    def learn(self, update: topology_pb2.TopologyUpdate) -> None:
        """The current one has sent this."""
        self._failures = 0
        if update.full and update.nodes:
            self._nodes.clear()
        for node in update.nodes:
            self._nodes[node.id] = node.address
        for name in update.removed_nodes:
            if len(self._nodes) > 1:  # the last one may only be slow to renew its lease
                self._nodes.pop(name, None)
        known = dict.fromkeys([*self._seeds, *self._nodes.values()])
        first = self._line[0]  # the stream goes on, whatever the map says of its server
        # new ones in no order, so that the clients of a node that is lost do not all turn to the same one
        self._line = [first, *(each for each in self._line[1:] if each in known), *(known.keys() - set(self._line))]
