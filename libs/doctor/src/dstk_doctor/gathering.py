"""Collects the facts that are judged, from anything that answers for a cluster: a router, or all its nodes."""

import asyncio
import time
from typing import Protocol

from dstk.v1 import admin_pb2, topology_pb2
from dstk_doctor.facts import Facts, Observation
from dstk_service.admin_requests import MAX_EVENTS
from dstk_service.errors import DstkError

APART_SECONDS = 1.0
"""Between the two observations."""


class Cluster(Protocol):
    """What is asked of a cluster. All methods raise DstkError."""

    async def entries(self) -> list[topology_pb2.Partition]:
        """The entries of the map, by start of range."""

    async def partitions(self) -> admin_pb2.ListPartitionsResponse:
        """All partitions by key, with their primaries' figures."""

    async def nodes(self) -> list[admin_pb2.NodeStatus]:
        """All nodes that are alive, or that the map or a desired state names."""

    async def replicas(self) -> admin_pb2.ListReplicasResponse:
        """All replicas as their own nodes report them."""

    async def controller(self) -> admin_pb2.GetControllerResponse:
        """The leader, the settings and the plan."""

    async def events(self, limit: int, /) -> list[admin_pb2.Event]:
        """The newest events, newest first."""


async def gather(cluster: Cluster) -> Facts:
    """Collects the facts. Raises the DstkError of a call without which nothing can be judged."""
    first = await _observe(cluster)
    began = time.monotonic()
    nodes = await cluster.nodes()
    took = time.monotonic() - began
    (controller, trouble), events = await asyncio.gather(_controller(cluster), _events(cluster))
    await asyncio.sleep(max(0.0, APART_SECONDS - (time.monotonic() - began)))
    second = await _observe(cluster)
    return Facts(nodes, first, second, controller, took, trouble, events)


async def _observe(cluster: Cluster) -> Observation:
    entries, statuses, replicas = await asyncio.gather(cluster.entries(), cluster.partitions(), cluster.replicas())
    return Observation(entries, list(statuses.partitions), list(replicas.replicas), list(replicas.unreachable_nodes))


async def _controller(cluster: Cluster) -> tuple[admin_pb2.GetControllerResponse | None, str]:
    try:
        return await cluster.controller(), ""
    except DstkError as error:
        return None, str(error)


async def _events(cluster: Cluster) -> list[admin_pb2.Event]:
    """The recent events; none when they cannot be read, which the check of the controller reports."""
    try:
        return await cluster.events(MAX_EVENTS)
    except DstkError:
        return []
