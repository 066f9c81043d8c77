"""The adapter of the controller's ClusterReader: asks all nodes for the loads that have changed."""

import asyncio
from abc import abstractmethod
from typing import Final

from typing_extensions import override

from dstk.v1 import admin_pb2
from dstk_client.admin import AdminLinks
from dstk_cluster.model import ClusterMap, NodeInfo, PartitionInfo
from dstk_cluster.view import CurrentMap
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.errors import DstkError
from dstk_storage.domain.controller.ports import ClusterReader, ClusterSample, PartitionSample

SAMPLE_SECONDS: Final = 1.5
"""How long one node may take to report its figures."""

_NO_MAP: Final = ClusterMap(0, "", "", (), {})


class NodeLoads:
    """What a node has reported. Each answer brings only what has changed since the one before."""

    def __init__(self, node: NodeId) -> None:
        self.node = node
        self._session, self._version = "", 0
        self.read_only = False
        self.samples: dict[PartitionId, PartitionSample] = {}

    def request(self) -> admin_pb2.ListLoadsRequest:
        """Asks for what has changed since the last answer."""
        return admin_pb2.ListLoadsRequest(node=self.node, session=self._session, version=self._version)

    def update(self, answer: admin_pb2.ListLoadsResponse) -> None:
        """Takes over an answer."""
        if answer.complete:
            self.samples = {}
        for number in answer.removed_partitions:
            self.samples.pop(PartitionId(number), None)
        for load in answer.loads:
            self.samples[PartitionId(load.partition_id)] = _sample(self.node, load)
        self._session, self._version, self.read_only = answer.session, answer.version, answer.read_only


class LoadsReader(ClusterReader):
    """Reads the figures of all nodes. A node that does not answer is missing from the sample."""

    def __init__(self, view: CurrentMap) -> None:
        self._view = view
        self._known: dict[NodeId, NodeLoads] = {}

    @abstractmethod
    async def ask(self, node: NodeInfo, request: admin_pb2.ListLoadsRequest) -> admin_pb2.ListLoadsResponse | None:
        """Asks a node; None: it does not answer in time."""

    @override
    def current(self) -> ClusterMap | None:
        return self._view.current

    @override
    async def sample(self) -> ClusterSample:
        current = self._view.current or _NO_MAP
        self._known = {name: self._known.get(name) or NodeLoads(name) for name in current.nodes}
        answers = await asyncio.gather(*map(self._look, current.nodes.values()))
        by_id = {info.id: info for info in current.partitions}
        samples = {
            number: sample
            for loads in answers
            if loads is not None
            for number, sample in loads.samples.items()
            if _fits(sample, by_id.get(number))
        }
        read_only = frozenset(loads.node for loads in answers if loads is not None and loads.read_only)
        return ClusterSample(current, read_only, samples)

    async def _look(self, node: NodeInfo) -> NodeLoads | None:
        loads = self._known[node.id]
        answer = await self.ask(node, loads.request())
        if answer is None:
            return None
        loads.update(answer)
        return loads


class AdminClusterReader(LoadsReader):
    """Asks by Admin calls."""

    def __init__(self, view: CurrentMap, links: AdminLinks) -> None:
        super().__init__(view)
        self._links = links

    @override
    async def sample(self) -> ClusterSample:
        current = self.current() or _NO_MAP
        await self._links.keep({node.address for node in current.nodes.values()})
        return await super().sample()

    @override
    async def ask(self, node: NodeInfo, request: admin_pb2.ListLoadsRequest) -> admin_pb2.ListLoadsResponse | None:
        link = self._links.to(node.id, node.address)
        try:
            return await link.call(lambda admin: admin.ListLoads, request, SAMPLE_SECONDS)
        except DstkError:
            return None


def _fits(sample: PartitionSample, info: PartitionInfo | None) -> bool:
    """Whether the node leads the partition by this map, in this range. Otherwise its figures are of an older or newer map."""
    return info is not None and info.primary == sample.node and info.range == sample.range


def _sample(node: NodeId, load: admin_pb2.PartitionLoad) -> PartitionSample:
    return PartitionSample(
        node,
        KeyRange(load.start, load.end or None),
        load.estimated_bytes,
        load.estimated_records,
        load.operations,
        {NodeId(each.node): each.silent_s for each in load.silent},
    )
