"""No controller: goes when the real desk comes."""

from typing import NoReturn

from dstk.v1 import admin_pb2
from dstk_service.errors import Unfit


class NoController:
    """See servicers.admin.Desk."""

    async def set_wish(self, request: admin_pb2.SetNodeWishRequest) -> None:  # noqa: ARG002
        """See Desk."""
        _refuse()

    async def controller(self) -> admin_pb2.GetControllerResponse:
        """See Desk."""
        return admin_pb2.GetControllerResponse(settings=admin_pb2.ControllerSettings(replicas=1))

    async def configure(self, request: admin_pb2.SetControllerRequest) -> admin_pb2.SetControllerResponse:  # noqa: ARG002
        """See Desk."""
        _refuse()

    async def events(self, limit: int) -> admin_pb2.ListEventsResponse:  # noqa: ARG002
        """See Desk."""
        return admin_pb2.ListEventsResponse()

    def absent(self) -> list[admin_pb2.NodeStatus]:
        """See Desk."""
        return []


def _refuse() -> NoReturn:
    raise Unfit("storage nodes of this version hold one replica of each partition, and have no controller")
