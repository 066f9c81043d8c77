"""What a node finds in its data directory when it starts: its engine, or something in its place that does not count."""

import logging
from dataclasses import dataclass

from dstk_keytypes import NodeId
from dstk_service.logs.fields import LogFields
from dstk_storage.adapters.datadir import DataDir, Identity
from dstk_storage.adapters.leveldb import EngineDamaged, LevelDBEngine, LevelDBOptions
from dstk_storage.domain import layout
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.ports import EngineCorruption, EngineError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AtRest:
    """The node's data: whose they are, the engine that holds them, and what that says of itself."""

    identity: Identity
    engine: LevelDBEngine
    own: EngineIdentity


def find(data_dir: DataDir, options: LevelDBOptions, cluster: str, node_id: NodeId | None, now_ms: int) -> AtRest:
    """Opens the engine that is there. One that is missing or damaged is moved aside for a new, empty one, which says so of
    itself; in a brand-new directory one is made. Raises DataDirError, and EngineError when the system refuses something.
    """
    was_used = data_dir.was_used
    engine, own, damage = _look(data_dir, options)
    identity = data_dir.identity(cluster, node_id, own)
    if engine is not None and own is not None:
        return AtRest(identity, engine, own)
    if not (was_used or identity.cluster_uid):
        damage = ""  # there was never any data here
    new = EngineIdentity.new(identity.node_id, cluster, now_ms, damage)
    kept = data_dir.engine_files.put_aside()
    if damage:
        extra = LogFields(action="engine_replaced", reason=damage, path=kept)
        log.error("the engine is damaged, and replaced by an empty one", extra=extra)
    made = LevelDBEngine.make(data_dir.engine_path, options, {layout.ENGINE: new.encode()})
    return AtRest(identity, made, new)


def _look(data_dir: DataDir, options: LevelDBOptions) -> tuple[LevelDBEngine | None, EngineIdentity | None, str]:
    """The engine with its identity; or neither, and why."""
    name = data_dir.engine_path.name
    try:
        engine = LevelDBEngine(data_dir.engine_path, options)
    except EngineDamaged as error:
        return None, None, f"{name}: {error}"
    try:
        raw = engine.get(layout.ENGINE)
        if raw is not None:
            return engine, EngineIdentity.decode(raw), ""
        damage = "it says nothing of itself, so no node of this version has written it"
    except (EngineCorruption, ValueError, TypeError, KeyError) as error:
        damage = str(error)
    except EngineError:
        engine.close()
        raise
    engine.close()
    return None, None, f"{name}: {damage}"
