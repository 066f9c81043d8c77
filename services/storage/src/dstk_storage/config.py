"""The settings of a storage node."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter

from dstk_keytypes import Key
from dstk_service.config import OPERATIONS_HELP, Address, Addresses, OperationsAddress, ServiceConfig
from dstk_service.controller_settings import BOUNDS

_TEXTS = TypeAdapter(list[str])


def _keys(texts: str) -> list[Key]:
    return [Key.parse(text) for text in _TEXTS.validate_json(texts)]


def _list_of_keys(texts: str) -> str:
    _keys(texts)
    return texts


ListOfKeys = Annotated[str, AfterValidator(_list_of_keys)]
"""A JSON list of keys as people write them, checked at the start, since it is used long after. It is one text to
pydantic-settings 2.16, which fails on escaped quotes within the items of a list.
"""


class StorageConfig(ServiceConfig):
    """A storage node of DSTK: durable partitions on LevelDB, served through gRPC."""

    data_dir: Path = Field(description="Directory that holds the node's data and identity; made where there is none.")
    listen: str = Field("127.0.0.1:7101", description="host:port to serve on; port 0 picks a free one.")
    operations_listen: OperationsAddress = Field("127.0.0.1:7181", description=OPERATIONS_HELP)
    advertise: Address = Field(
        "",
        description="host:port that others reach this node at; empty: the one it serves on, and when that is all interfaces "
        "(0.0.0.0), the one that leads to etcd.",
    )
    etcd: Addresses = Field(
        "127.0.0.1:2379", min_length=1, description="etcd endpoints, host:port, separated by commas."
    )
    cluster: str = Field("dstk", pattern=r"^[a-z0-9-]{1,64}$", description="Name of the cluster: 1..64 of [a-z0-9-].")
    node_id: str | None = Field(
        None,
        pattern=r"^[a-z0-9-]{1,64}$",
        description="Id of a new node; otherwise made up, and kept in the data directory.",
    )
    zone: str = Field("", max_length=64, description="Failure domain of the node, free text.")
    lease_seconds: int = Field(6, ge=2, le=300, description="After how long of silence etcd forgets the node.")
    bootstrap_expect: int = Field(
        0, ge=0, le=1000, description="Make the partition map of a new cluster once so many nodes are there; 0: never."
    )
    bootstrap_splits: ListOfKeys = Field(
        "[]", description="JSON list of the keys at which the new cluster is split: text, typed tuples or 0x hex."
    )
    bootstrap_replicas: int = Field(
        3,
        ge=BOUNDS["replicas"].low,
        le=BOUNDS["replicas"].high,
        description="Replicas of each partition of the new cluster, if there are enough nodes.",
    )
    queue_writes: int = Field(
        200_000, ge=1, le=100_000_000, description="Writes that may wait for the disk before more are refused."
    )
    queue_bytes: int = Field(
        64 << 20, ge=1 << 20, le=1 << 40, description="Bytes that may wait for the disk, likewise."
    )
    disk_reserve_bytes: int = Field(
        256 << 20,
        ge=0,
        le=1 << 60,
        description="With less than this free on its disk the node takes deletions and expiry alone; below a quarter, nothing.",
    )
    write_buffer_bytes: int = Field(16 << 20, ge=64 << 10, le=1 << 30, description="LevelDB's write buffer.")
    block_cache_bytes: int = Field(
        64 << 20, ge=1 << 20, le=1 << 40, description="LevelDB's cache of uncompressed blocks."
    )
    expiry_records: int = Field(500, ge=1, le=10_000, description="Expired records that are removed in one step.")
    admin_token_file: Path | None = Field(
        None, description="File with the token that Admin calls must carry; without one only loopback may call."
    )
    shutdown_seconds: float = Field(10.0, ge=0, le=300, description="How long calls under way may take at shutdown.")

    def split_keys(self) -> list[Key]:
        """What `bootstrap_splits` says."""
        return _keys(self.bootstrap_splits)
