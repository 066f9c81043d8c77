"""What all storage nodes together say of the cluster. Only reads."""

from contextlib import suppress

from dstk.v1 import admin_pb2, topology_pb2
from dstk_client import merging
from dstk_client.admin import AdminLinks
from dstk_client.asking import ANY_SECONDS, SILENT, Asking
from dstk_client.topology import Topology


class ClusterAdmin:
    """Merges the answers of all nodes. A node that does not answer is named, and shown as the map knows it, without figures.

    All methods raise DstkError: PermissionDenied, or NotServing when no node can answer.
    """

    def __init__(self, topology: Topology, links: AdminLinks) -> None:
        self._nodes, self._map = Asking(topology, links), topology

    async def entries(self) -> list[topology_pb2.Partition]:
        """The entries of the map, by start of range."""
        return [self._map.entries[route.id] for route in self._map.table.routes]

    async def partitions(self) -> admin_pb2.ListPartitionsResponse:
        """All partitions by key, with their primaries' figures."""
        primaries = {route.primary for route in self._map.table.routes}
        request = admin_pb2.ListPartitionsRequest()
        answers = await self._nodes.all(primaries, lambda node: node.ListPartitions, request)
        return admin_pb2.ListPartitionsResponse(
            partitions=merging.partitions(await self.entries(), answers), unreachable_nodes=merging.silent(answers)
        )

    async def nodes(self) -> list[admin_pb2.NodeStatus]:
        """All nodes that are alive, or that the map or a desired state names."""
        known = self._known()
        answers = await self._nodes.all(known, lambda node: node.ListNodes, admin_pb2.ListNodesRequest())
        return merging.nodes(self._map.nodes, known, answers)

    async def replicas(self) -> admin_pb2.ListReplicasResponse:
        """All replicas as their own nodes report them."""
        request = admin_pb2.ListReplicasRequest()
        answers = await self._nodes.all(self._known(), lambda node: node.ListReplicas, request)
        return admin_pb2.ListReplicasResponse(
            replicas=merging.replicas(answers), unreachable_nodes=merging.silent(answers)
        )

    async def controller(self) -> admin_pb2.GetControllerResponse:
        """The controller, as its leader sees it."""
        # only the leader knows what is in progress and what it has decided; another node says what it would do as leader
        request = admin_pb2.GetControllerRequest()
        answer: admin_pb2.GetControllerResponse = await self._nodes.any(lambda node: node.GetController, request)
        if answer.leader:
            with suppress(*SILENT):
                return await self._nodes.named(answer.leader, lambda node: node.GetController, request, ANY_SECONDS)
        return answer

    async def events(self, limit: int) -> list[admin_pb2.Event]:
        """The newest events, newest first."""
        request = admin_pb2.ListEventsRequest(limit=limit)
        answer: admin_pb2.ListEventsResponse = await self._nodes.any(lambda node: node.ListEvents, request)
        return list(answer.events)

    def _known(self) -> set[str]:
        return merging.names_in(self._map.entries.values()) | set(self._map.nodes)
