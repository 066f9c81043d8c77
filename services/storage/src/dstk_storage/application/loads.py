"""The figures that the controller plans by."""

from typing import NamedTuple

from dstk_keytypes import KeyRange, NodeId


class LoadFigures(NamedTuple):
    """A partition that this node is the primary of. `operations`: reads and writes since the process started."""

    range: KeyRange
    bytes: int
    records: int
    operations: int
    silent: tuple[tuple[NodeId, float], ...]
    """Replicas on living nodes that are not in sync and do not answer, and for how many seconds."""
