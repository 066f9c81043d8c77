"""The figures that the controller plans by."""

import asyncio

from kit.machines import WHOLE, A, B, C, P, info_of, replica_of

from dstk_keytypes import NodeId
from dstk_storage.application.loads import LoadFigures
from dstk_storage.application.replicas import Load, NodeReplicas
from dstk_storage.domain.history import Position
from dstk_storage.domain.replication.progress import Progress
from dstk_storage.domain.replication.replica import Replica

D = NodeId("d")


async def loads_of(replica: Replica, now: float, *alive: NodeId) -> list[Load]:
    replicas = NodeReplicas({P: replica}, lambda replica, node, progress: 10.0)
    chunks = [chunk async for chunk in replicas.loads(now, alive, asyncio.Event().wait)]
    return [load for chunk in chunks for load in chunk]


async def test_only_followers_that_are_alive_out_of_sync_and_silent_are_named() -> None:
    replica = replica_of(A, info_of(A, B, C, D, in_sync=(A, B)))
    assert await loads_of(replica, 12.5, A, B, C, D) == [], "it is a follower itself"
    cursor = replica.log.subscribe(Position(0, 0), lambda: None)
    replica.lead(2, 0.0, {node: Progress(cursor, 1, 0.0) for node in (B, C, D)})
    replica.partition.activity.reads, replica.partition.activity.writes = 3, 4
    replica.partition.estimate.exact_bytes = 9.6
    assert await loads_of(replica, 12.5, A, B, C) == [(P, LoadFigures(WHOLE, 10, 0, 7, ((C, 2.5),)))]
    ((_, figures),) = await loads_of(replica, 10.5, A, B, C)
    assert figures.silent == ()
