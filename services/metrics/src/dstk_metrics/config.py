"""The settings of a metrics service."""

from pathlib import Path

from pydantic import Field

from dstk_service.config import OPERATIONS_HELP, Address, Addresses, OperationsAddress, ServiceConfig


class MetricsConfig(ServiceConfig):
    """A metrics service of DSTK: follows all storage nodes, answers what is hot and how large a range is, keeps a history, and
    serves the console. Several can run side by side; each keeps its own history.
    """

    listen: str = Field("127.0.0.1:7300", description="host:port to serve gRPC on; port 0 picks a free one.")
    advertise: Address = Field(
        "",
        description="host:port that routers reach it at; empty: the one it serves on, and when that is all interfaces "
        "(0.0.0.0), the one that leads to etcd.",
    )
    console_listen: OperationsAddress = Field(
        "127.0.0.1:7200", description="host:port of the console, a web page; port 0 picks a free one; off: none."
    )
    console_hosts: str = Field(
        "",
        description="Names, separated by commas, by which browsers may ask for the console besides localhost and IP addresses.",
    )
    operations_listen: OperationsAddress = Field("127.0.0.1:7182", description=OPERATIONS_HELP)
    data_dir: Path = Field(Path("dstk-metrics"), description="Directory of the history.")
    history_bytes: int = Field(
        2 << 30, ge=16 << 20, le=1 << 40, description="Bytes that the history may take; the oldest is dropped first."
    )
    etcd: Addresses = Field(
        "127.0.0.1:2379", min_length=1, description="etcd endpoints, host:port, separated by commas."
    )
    cluster: str = Field("dstk", pattern=r"^[a-z0-9-]{1,64}$", description="Name of the cluster: 1..64 of [a-z0-9-].")
    lease_seconds: int = Field(
        6, ge=2, le=60, description="Seconds after which etcd forgets this service when it stops renewing its entry."
    )
    feed_seconds: float = Field(10.0, ge=1, le=60, description="Seconds between two updates of a node's statistics.")
    admin_token_file: Path | None = Field(
        None, description="File with the token for Admin calls: the console shows nodes, events and findings."
    )
    shutdown_seconds: float = Field(10.0, ge=0, le=300, description="Seconds for calls in progress at shutdown.")
