"""The errors of the API. Each is raised where the problem is found, becomes a gRPC status in one place (status.py), and
becomes the same class again in the client.
"""

from dstk.v1 import topology_pb2
from dstk_service.plain_errors import AlreadyExists as AlreadyExists
from dstk_service.plain_errors import DeadlineExceeded as DeadlineExceeded
from dstk_service.plain_errors import DiskFull as DiskFull
from dstk_service.plain_errors import DstkError as DstkError
from dstk_service.plain_errors import EtagMismatched as EtagMismatched
from dstk_service.plain_errors import Internal as Internal
from dstk_service.plain_errors import InvalidArgument as InvalidArgument
from dstk_service.plain_errors import NotFound as NotFound
from dstk_service.plain_errors import NotServing as NotServing
from dstk_service.plain_errors import Overloaded as Overloaded
from dstk_service.plain_errors import PermissionDenied as PermissionDenied
from dstk_service.plain_errors import PreconditionFailed as PreconditionFailed
from dstk_service.plain_errors import Quarantined as Quarantined
from dstk_service.plain_errors import WriteAmbiguous as WriteAmbiguous
from dstk_service.plain_errors import shown as shown


class NotOwner(DstkError):
    """The node does not own the key, or the caller's epoch is stale. Nothing was done; the entry names the owner."""

    reason = "NOT_OWNER"

    def __init__(self, partition: topology_pb2.Partition | None, address: str) -> None:
        owner = (
            f"partition {partition.id} epoch {partition.epoch} of node {partition.primary!r}" if partition else "nobody"
        )
        super().__init__(
            f"this node does not own the key at that epoch; the owner is {owner} at {address or 'no address'}"
        )
        self.partition = partition
        self.address = address
