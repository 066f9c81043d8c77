"""Making a replica anew that the recent batches do not reach: its range is emptied and copied.

The copy reads the primary's records page by page while writes go on, so its pages are of different moments. That does no
harm: entries are whole records, so applying, in order, all that were written since the copy began brings every key to its
newest state, whatever the page showed. Until then nobody reads from the copy, and it cannot be elected.
"""

import logging
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from dstk_keytypes import KeyRange, NodeId
from dstk_storage.domain import layout
from dstk_storage.domain.history import START, History
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.ports import Chunk, PeerUnreachable
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.ports import Engine

if TYPE_CHECKING:
    from dstk_storage.domain.replication.replicator import Replicator

log = logging.getLogger(__name__)

CHUNK_RECORDS = 1000


async def rebuild(replicator: "Replicator", replica: Replica, node: NodeId) -> None:
    """Copies the primary's replica to a follower, which is fed from there on."""
    primary = replica.primary
    if primary is None:
        return
    progress = primary.followers[node]
    begun = replica.partition.history
    log.info("rebuilding a replica", extra={"partition": replica.info.id, "node": node})
    try:
        await _copy(replicator, replica, node)
        last = Chunk(replica.info.id, primary.epoch, replica.partition.range, (), (), history=begun)
        await replicator.around.peers.copy(node, last)
        progress.acked = begun.position
        log.info("a replica is rebuilt", extra={"partition": replica.info.id, "node": node})
    except PeerUnreachable as error:
        log.info("a rebuild begins anew", extra={"partition": replica.info.id, "node": node, "reason": str(error)})
    finally:
        progress.copying = progress.known = progress.busy = False


async def _copy(replicator: "Replicator", replica: Replica, node: NodeId) -> None:
    here, primary = replicator.around, replica.primary
    assert primary is not None
    whole = replica.partition.range
    await here.peers.copy(node, Chunk(replica.info.id, primary.epoch, whole, (), (), first=True))
    rest: KeyRange | None = whole
    while rest is not None:
        keys, records, resume = await here.store.offload(partial(_page, here.store.engine, rest))
        await here.peers.copy(node, Chunk(replica.info.id, primary.epoch, whole, keys, records))
        rest = None if resume is None else KeyRange(resume, rest.end)


def _page(engine: Engine, key_range: KeyRange) -> tuple[list[bytes], list[bytes], bytes | None]:
    """Keys, encoded records, and where to go on."""
    with engine.iterate(*layout.data_bounds(key_range), fill_cache=False) as pairs:
        page = list(islice(pairs, CHUNK_RECORDS))
        following = next(pairs, None)
    keys, records = [key[1:] for key, _ in page], [record for _, record in page]
    return keys, records, None if following is None else following[0][1:]


async def receive(replicator: "Replicator", chunk: Chunk) -> bool:
    """The copy's other end; False: this node follows somebody else."""
    replica = replicator.replicas.get(chunk.partition)
    if replica is None or chunk.epoch < replica.promised or replica.primary is not None:
        return False
    replica.promise(chunk.epoch)
    here, partition = replicator.around, replica.partition
    if chunk.first:
        replica.rebuilding = partition.rebuilding = True
        await replicator.following.drain(replica)
        partition.history = History()
        await here.store.offload(partial(_empty, here.store.engine, partition))
    elif not replica.rebuilding:
        return False
    await here.store.offload(partial(_fill, here.store.engine, chunk))
    if chunk.history is not None:
        partition.history = chunk.history
        replica.rebuilding = partition.rebuilding = False
        replica.begin_at(chunk.history.position)
    return True


def _empty(engine: Engine, partition: Partition) -> None:
    """Removes the range's records in steps; a crash in between leaves the mark that it is no consistent whole."""
    target = engine.batch()
    target.put(layout.copying_key(partition.id), b"")
    target.put(layout.position_key(partition.id), layout.encode_position(*START))
    target.put(layout.history_key(partition.id), layout.encode_history(()))
    engine.write(target)
    while True:
        keys, _, resume = _page(engine, partition.range)
        target = engine.batch()
        for key in keys:
            target.delete(layout.DATA + key)
        engine.write(target)
        if resume is None:
            return


def _fill(engine: Engine, chunk: Chunk) -> None:
    target = engine.batch()
    for key, record in zip(chunk.keys, chunk.records, strict=True):
        target.put(layout.DATA + key, record)
        if record[1]:
            target.put(layout.expiry_key(layout.expires_at(record), key), b"")
    if chunk.history is not None:
        target.put(layout.position_key(chunk.partition), layout.encode_position(*chunk.history.position))
        target.put(layout.history_key(chunk.partition), layout.encode_history(chunk.history.eras))
        target.delete(layout.copying_key(chunk.partition))
    engine.write(target)
