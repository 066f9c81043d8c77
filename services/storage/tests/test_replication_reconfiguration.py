"""When a change of the map is refused."""

import pytest
from kit.machines import A, B, C, PureNode, info_of

from dstk_keytypes import NodeId
from dstk_storage.domain.errors import PreconditionFailed
from dstk_storage.domain.history import START
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.reconfiguration import check_disks


def whose_follower_takes_no_writes(*in_sync: NodeId) -> Primary:
    """The primary A, whose follower C answers that its disk takes no writes."""
    node = PureNode(A, info_of(A, B, C, in_sync=in_sync))
    primary = node.lead()
    check_disks(primary)
    node.answer(B, node.send(B), START, 0.1)
    node.answer(C, node.send(C), START, 0.1, refuses_writes=True)
    return primary


def test_partitions_are_not_merged_while_the_disk_of_a_follower_in_sync_takes_no_writes() -> None:
    with pytest.raises(PreconditionFailed, match=r"\['c'\] take no writes"):
        check_disks(PureNode(A, info_of(A, B, C)).lead(), whose_follower_takes_no_writes(A, B, C))


def test_the_disk_of_a_learner_does_not_hold_up_a_merge() -> None:
    check_disks(whose_follower_takes_no_writes(A, B))
