"""The data directory of a node: who it belongs to, and that only one process has it."""

import fcntl
import json
import logging
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dstk_keytypes import NodeId
from dstk_storage.adapters.engine_files import EngineFiles, remove
from dstk_storage.domain.identity import EngineIdentity

log = logging.getLogger(__name__)

FORMAT_VERSION = 2
"""Of the engine's layout (domain/layout.py) and of node.json. 2: the engine holds its identity (domain/identity.py)."""

CARD = "node.json"


class DataDirError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What node.json holds."""

    format_version: int
    node_id: NodeId
    cluster: str
    cluster_uid: str
    """Empty until the node has met its cluster."""


class DataDir:
    """A directory that this process has locked. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Creates and locks the directory. Raises DataDirError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(_file_alone(self.path / "LOCK"), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DataDirError(
                f"cannot use data directory {str(self.path)!r}: {error}. Give another with --data-dir, or mend its rights"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            self._release()
            raise DataDirError(
                f"data directory {str(self.path)!r} is in use by another storage node (process {owner}). "
                "Stop that process, or give this node a directory of its own with --data-dir"
            ) from None
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives the directory up."""
        self._release()

    @property
    def engine_path(self) -> Path:
        """Where LevelDB lives."""
        return self.path / "leveldb"

    @property
    def engine_files(self) -> EngineFiles:
        """LevelDB's files, and those that were moved aside."""
        return EngineFiles(self.engine_path)

    def identity(self, cluster: str, node_id: NodeId | None, engine: EngineIdentity | None) -> Identity:
        """Whose directory this is, by node.json; where that is missing or damaged, by what the engine says of itself, or else
        by `node_id`. A new directory is given an id. `engine`: None when there is none, or when it cannot be read. Raises
        DataDirError where it does not fit.
        """
        card = self._read()
        if engine is not None and (card is None or card.node_id not in (node_id or card.node_id, engine.node)):
            card = self._write(Identity(FORMAT_VERSION, engine.node, engine.cluster, engine.cluster_uid))
        if card is None:
            if node_id is None and self.was_used:
                raise DataDirError(
                    f"data directory {str(self.path)!r} has data but no readable node.json, so whose it is cannot be told. "
                    "Name its node with --node-id: what cannot be proven is kept aside and copied from other nodes"
                )
            return self._write(Identity(FORMAT_VERSION, node_id or _new_node_id(), cluster, ""))
        return self._checked(card, cluster, node_id)

    @property
    def was_used(self) -> bool:
        """Whether there are, or were, data of a node."""
        return self.engine_path.exists() or bool(self.engine_files.kept())

    def join(self, identity: Identity, cluster_uid: str) -> Identity:
        """Binds a new directory to its cluster, or checks that it is bound to this one. Raises DataDirError."""
        if identity.cluster_uid == cluster_uid:
            return identity
        if identity.cluster_uid:
            raise DataDirError(
                f"data directory {str(self.path)!r} belongs to cluster {identity.cluster!r} with uid "
                f"{identity.cluster_uid!r}, but etcd holds one with uid {cluster_uid!r}. Point --etcd at the etcd of its "
                "own cluster, or give this node an empty directory"
            )
        return self._write(Identity(identity.format_version, identity.node_id, identity.cluster, cluster_uid))

    def _read(self) -> Identity | None:
        """What node.json says; None when it is missing or damaged, and in the way no more. Raises DataDirError when it is of
        another format, or cannot be read at all.
        """
        path = self.path / CARD
        try:
            fields = json.loads(_file_alone(path).read_bytes())
            version = fields["format_version"]
            if version == FORMAT_VERSION:
                return _identity(fields)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataDirError(f"cannot read {str(path)!r}: {error}. Give this process its rights back") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning("node.json is damaged, and kept as node.json.damaged", extra={"error": repr(error)})
            _put_aside(path)
            return None
        raise DataDirError(
            f"data directory {str(self.path)!r} has format version {version!r}; this program knows {FORMAT_VERSION}. "
            "Run the version of DSTK that wrote it, or a newer one; or give this node an empty directory, and it is copied "
            "from the others"
        )

    def _checked(self, identity: Identity, cluster: str, node_id: NodeId | None) -> Identity:
        if identity.cluster != cluster:
            raise DataDirError(
                f"data directory {str(self.path)!r} belongs to cluster {identity.cluster!r}, but --cluster is {cluster!r}. "
                "Start the node with its own cluster's name, or give it an empty directory"
            )
        if node_id is not None and identity.node_id != node_id:
            raise DataDirError(
                f"data directory {str(self.path)!r} belongs to node {identity.node_id!r}, but --node-id is {node_id!r}. "
                "Leave --node-id out, or give an empty directory"
            )
        return identity

    def _write(self, identity: Identity) -> Identity:
        """Atomically: written beside, synced, renamed, directory synced."""
        target, beside = self.path / CARD, self.path / f"{CARD}.new"
        with _file_alone(beside).open("w") as file:
            json.dump(asdict(identity), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
        directory = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return identity

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class FileSystemDisk:
    """The file system under a path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def free_bytes(self) -> int:
        """See Disk."""
        return shutil.disk_usage(self._path).free

    def capacity_bytes(self) -> int:
        """See Disk."""
        return shutil.disk_usage(self._path).total


def _file_alone(path: Path) -> Path:
    """The path, at which there is a file or nothing: a directory, a pipe or a link that leads to no file is moved aside, for
    to open those fails or waits for ever.
    """
    if (path.exists() or path.is_symlink()) and not path.is_file():
        log.warning("what is no file is in the place of one, and moved aside", extra={"path": str(path)})
        _put_aside(path)
    return path


def _put_aside(path: Path) -> None:
    """To a name of its own beside; the one that had it goes."""
    target = path.with_name(f"{path.name}.damaged")
    remove(target)
    path.replace(target)


def _identity(fields: dict[str, str]) -> Identity:
    return Identity(FORMAT_VERSION, NodeId(fields["node_id"]), str(fields["cluster"]), str(fields["cluster_uid"]))


def _new_node_id() -> NodeId:
    return NodeId(f"node-{secrets.token_hex(4)}")
