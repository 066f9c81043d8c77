"""Whether a storage node can do all of its work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dstk_cluster.view import CurrentMap, map_obstacle
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.replication.in_sync import InSyncManager
from dstk_storage.ports import Engine


@dataclass(frozen=True, slots=True)
class NodeReadiness:
    """The readiness of a node, part by part. `serving`: why it does not serve; once it has converged with the map, it does.

    etcd is no part of this: without etcd a node reads and writes on.
    """

    serving: Callable[[], str]
    view: CurrentMap
    intake: Intake
    in_sync: InSyncManager
    engine: Engine

    def __call__(self) -> Mapping[str, str]:
        """The obstacle of each part; empty: it is ready."""
        return {"serving": self.serving(), "map": map_obstacle(self.view), "disk": self._disk()}

    def _disk(self) -> str:
        if self.engine.corruption:
            return f"the engine is damaged, and will be replaced: {self.engine.corruption}"
        if self.in_sync.own_disk_hangs:
            return "the disk does not answer"
        return "" if self.intake.data is None else self.intake.data.why
