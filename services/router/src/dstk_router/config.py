"""The settings of a router."""

from pathlib import Path

from pydantic import Field

from dstk_service.config import OPERATIONS_HELP, Addresses, OperationsAddress, ServiceConfig


class RouterConfig(ServiceConfig):
    """A router of DSTK: serves the whole key space to any gRPC client, and knows which storage node holds which keys."""

    listen: str = Field(
        "127.0.0.1:7000", description="host:port to serve on; port 0 picks a free one (one worker only)."
    )
    operations_listen: OperationsAddress = Field(
        "127.0.0.1:7180", description=f"{OPERATIONS_HELP} Each further worker has the next port."
    )
    etcd: Addresses = Field(
        "127.0.0.1:2379", min_length=1, description="etcd endpoints, host:port, separated by commas."
    )
    cluster: str = Field("dstk", pattern=r"^[a-z0-9-]{1,64}$", description="Name of the cluster: 1..64 of [a-z0-9-].")
    workers: int = Field(
        1, ge=1, le=64, description="Processes that share the port; the system distributes connections among them."
    )
    request_seconds: float = Field(5.0, gt=0, le=300, description="Seconds for a request without a deadline.")
    admin_token_file: Path | None = Field(
        None, description="File with the token that Admin calls must carry; the router sends it to storage nodes."
    )
    shutdown_seconds: float = Field(10.0, ge=0, le=300, description="Seconds for calls in progress at shutdown.")
