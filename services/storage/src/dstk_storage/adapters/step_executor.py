"""The adapter of the controller's Executor: Admin calls to the storage nodes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from typing_extensions import override

from dstk_client.admin import AdminClient, AdminLinks
from dstk_cluster.events import ORIGIN_METADATA, Origin
from dstk_cluster.model import ClusterMap
from dstk_cluster.view import CurrentMap
from dstk_keytypes import NodeId, PartitionId
from dstk_service.errors import DstkError
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.port import Connector
from dstk_storage.domain.controller.model import Action, Step
from dstk_storage.domain.controller.ports import Executor, StepFailed, StepResult

STEP_SECONDS: Final = 20.0
"""How long a step may take. No step waits for a snapshot."""

_NO_MAP: Final = ClusterMap(0, "", "", (), {})


def controller_links(connector: Connector, credentials: OperatorCredentials) -> AdminLinks:
    """Links whose calls nodes list among the events as the controller's."""
    return AdminLinks(connector, credentials, STEP_SECONDS, ((ORIGIN_METADATA, str(Origin.CONTROLLER)),))


class AdminExecutor(Executor):
    """Carries out steps: asks the primary of the partition, by this node's map."""

    def __init__(self, view: CurrentMap, links: AdminLinks) -> None:
        self._view, self._links = view, links

    @override
    async def execute(self, step: Step) -> StepResult:
        link = self._links.to(*self._primary(step.partition))
        try:
            return await _CALLS[step.action](link, step)
        except DstkError as error:
            raise StepFailed(f"{error.reason}: {error}") from error

    def _primary(self, number: PartitionId) -> tuple[NodeId, str]:
        current = self._view.current or _NO_MAP
        info = next((info for info in current.partitions if info.id == number), None)
        if info is None:
            raise StepFailed(f"there is no partition {number} any more")
        if info.primary not in current.nodes:
            raise StepFailed(f"{info.primary}, the primary, is not alive")
        return info.primary, current.nodes[info.primary].address


async def _split(admin: AdminClient, step: Step) -> StepResult:
    halves = await admin.split(partition_id=step.partition, by_load=step.by_load)
    return StepResult(PartitionId(halves.upper.id))


async def _merge(admin: AdminClient, step: Step) -> StepResult:
    await admin.merge(step.at)
    return StepResult(step.upper)


async def _add(admin: AdminClient, step: Step) -> StepResult:
    await admin.add_replica(step.partition, step.node or "")
    return StepResult()


async def _remove(admin: AdminClient, step: Step) -> StepResult:
    await admin.remove_replica(step.partition, step.node or "")
    return StepResult()


async def _transfer(admin: AdminClient, step: Step) -> StepResult:
    await admin.transfer(step.partition, step.node or "")
    return StepResult()


_CALLS: Final[Mapping[Action, Callable[[AdminClient, Step], Awaitable[StepResult]]]] = {
    Action.SPLIT: _split,
    Action.MERGE: _merge,
    Action.ADD_REPLICA: _add,
    Action.REMOVE_REPLICA: _remove,
    Action.TRANSFER_PRIMARY: _transfer,
}
