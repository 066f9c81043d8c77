"""The data directory of a node: who it belongs to, and that only one process has it."""

import fcntl
import logging
import os
import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

from pydantic import PlainValidator
from typing_extensions import override

from dstk_keytypes import NodeId
from dstk_service.jsonfile import JsonFile, UnknownVersion, UnreadableFile
from dstk_service.logs.fields import LogFields
from dstk_storage.adapters.engine_files import EngineFiles, remove
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.ports import Disk

log = logging.getLogger(__name__)

FORMAT_VERSION = 2
"""Of the engine's layout (domain/layout.py) and of node.json. 2: the engine holds its identity (domain/identity.py)."""

NODE_JSON = "node.json"


class DataDirError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What node.json holds: whose directory it is."""

    node_id: Annotated[NodeId, PlainValidator(NodeId)]
    cluster: str
    cluster_uid: str
    """Empty until the node has met its cluster."""


NODE_FILE = JsonFile(Identity, FORMAT_VERSION, version_field="format_version")


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
        found = self._read()
        if engine is not None and (found is None or found.node_id not in (node_id or found.node_id, engine.node)):
            found = self._write(Identity(engine.node, engine.cluster, engine.cluster_uid))
        if found is None:
            if node_id is None and self.was_used:
                raise DataDirError(
                    f"data directory {str(self.path)!r} has data but no readable node.json, so whose it is cannot be told. "
                    "Name its node with --node-id: what cannot be proven is kept aside and copied from other nodes"
                )
            return self._write(Identity(node_id or _new_node_id(), cluster, ""))
        return self._checked(found, cluster, node_id)

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
        return self._write(replace(identity, cluster_uid=cluster_uid))

    def _read(self) -> Identity | None:
        """Returns the content of node.json; None when it is missing, or damaged and now moved aside. Raises DataDirError
        when the file has another format or cannot be read.
        """
        path = self.path / NODE_JSON
        try:
            return NODE_FILE.read(_file_alone(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataDirError(f"cannot read {str(path)!r}: {error}. Give this process the right to read it") from error
        except UnknownVersion as error:
            raise DataDirError(
                f"data directory {str(self.path)!r} has format version {error.found!r}; this program knows {error.known}. "
                "Run the version of DSTK that wrote it, or a newer one; or give this node an empty directory, and it gets "
                "its data from the other nodes"
            ) from error
        except UnreadableFile as error:
            log.warning("node.json is damaged, and kept as node.json.damaged", extra=LogFields(error=str(error)))
            _put_aside(path)
            return None

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
        NODE_FILE.write(self.path / NODE_JSON, identity)
        return identity

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class FileSystemDisk(Disk):
    """The file system under a path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @override
    def free_bytes(self) -> int:
        return shutil.disk_usage(self._path).free

    @override
    def capacity_bytes(self) -> int:
        return shutil.disk_usage(self._path).total


def _file_alone(path: Path) -> Path:
    """The path, at which there is a file or nothing: a directory, a pipe or a link that leads to no file is moved aside, for
    to open those fails or waits for ever.
    """
    if (path.exists() or path.is_symlink()) and not path.is_file():
        log.warning("what is no file is in the place of one, and moved aside", extra=LogFields(path=str(path)))
        _put_aside(path)
    return path


def _put_aside(path: Path) -> None:
    """To a name of its own beside; the one that had it goes."""
    target = path.with_name(f"{path.name}.damaged")
    remove(target)
    path.replace(target)


def _new_node_id() -> NodeId:
    return NodeId(f"node-{secrets.token_hex(4)}")
