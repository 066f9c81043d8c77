"""Puts the console together."""

from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from dstk_client.admin import AdminLinks
from dstk_client.asking import TELL_SECONDS
from dstk_client.cluster_admin import ClusterAdmin
from dstk_client.topology import Topology
from dstk_cluster.topology import updates
from dstk_cluster.view import ClusterView, map_obstacle
from dstk_doctor import Facts, gather
from dstk_metrics.application.api import MetricsApi
from dstk_metrics.config import MetricsConfig
from dstk_metrics.console.server import ConsoleServer
from dstk_metrics.console.survey import Survey
from dstk_service import tokens
from dstk_service.clock import Clock
from dstk_service.config import OFF
from dstk_service.errors import NotServing
from dstk_service.service import Background, Closing, Part
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC


class TopologyFollower(Part):
    """Keeps the console's copy of the map, by which nodes are asked."""

    name = "console map"

    def __init__(self, view: ClusterView, topology: Topology) -> None:
        self._view, self._topology = view, topology

    @override
    async def start(self, background: Background) -> None:
        background(self._follow())

    async def _follow(self) -> None:
        async for update in updates(self._view):
            self._topology.apply(update)


def console_parts(config: MetricsConfig, api: MetricsApi, view: ClusterView, clock: Clock) -> Sequence[Part]:
    """The console and what it needs; nothing if it is off. Raises OSError for a token that cannot be read."""
    if config.console_listen == OFF:
        return []
    topology = Topology()
    links = AdminLinks(GRPC, OperatorCredentials(_token(config.admin_token_file)), TELL_SECONDS)
    nodes = ClusterAdmin(topology, links)

    async def facts() -> Facts:
        if obstacle := map_obstacle(view):
            raise NotServing(obstacle, 1.0)
        return await gather(nodes)

    return [
        Closing("console links", links.close),
        TopologyFollower(view, topology),
        ConsoleServer(config.console_listen, config.console_hosts, api, Survey(facts, clock)),
    ]


def server_among(parts: Sequence[Part]) -> ConsoleServer | None:
    """The console among the parts; None if it is off."""
    return next((part for part in parts if isinstance(part, ConsoleServer)), None)


def _token(file: Path | None) -> str | None:
    return tokens.read(file) if file else None
