"""Has followers replaced by snapshots, whatever they say of themselves."""

from dstk_keytypes import NodeId
from dstk_storage.domain.replication.actions import Outbox
from dstk_storage.domain.replication.primary_handler import progress_of
from dstk_storage.domain.replication.progress import FollowerState
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.runtime.map_changes import MapChanges


class Distrust:
    """For replicas that differ from what a majority holds."""

    def __init__(self, changes: MapChanges, outbox: Outbox) -> None:
        self._changes, self._outbox = changes, outbox

    async def __call__(self, replica: Replica, node: NodeId) -> bool:
        """Whether a snapshot is to come; False: the node is no follower of the partition."""
        if (progress := progress_of(replica, node)) is None:
            return False
        progress.distrusted, progress.state = True, FollowerState.SNAPSHOT
        self._outbox.touch(replica)  # if the map cannot be changed now, the next look at the followers does
        await self._changes.evict(replica, [node])
        return True
