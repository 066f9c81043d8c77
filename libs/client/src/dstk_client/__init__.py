"""The Python client of DSTK: straight to the storage nodes (thick), or through a router (gateway).

    async with connect("127.0.0.1:7000") as client:
        await client.put(Key.of("city", "FR", 2988507), b"Paris")
        async for record in client.scan(KeyRange.tuple_prefix("city", "FR")):
            print(record.key.parts(), record.value)

`connect_sync` is the same for programs without an event loop. `help(dstk_client.Client)` shows all calls. Every error is a
DstkError.
"""

import dstk_service  # noqa: F401 - first: it settles what gRPC reads when it is loaded
from dstk_client.bulk import InsertStopped
from dstk_client.client import Client
from dstk_client.connecting import Connection, Mode, connect
from dstk_client.operation import ClientClosed
from dstk_client.ranges import RangeDeletionStopped
from dstk_client.scan import Scan
from dstk_client.sync import SyncClient, SyncScan, connect_sync
from dstk_client.types import BulkResult, BulkStop, Page, Record
from dstk_keytypes import Etag, InvalidInput, InvalidKey, InvalidRange, InvalidTtl, Key, KeyRange, Ttl
from dstk_service.context import WrongContext
from dstk_service.errors import (
    AlreadyExists,
    DeadlineExceeded,
    DiskFull,
    DstkError,
    EtagMismatched,
    Internal,
    InvalidArgument,
    NotFound,
    NotOwner,
    NotServing,
    Overloaded,
    PermissionDenied,
    PreconditionFailed,
    Quarantined,
    WriteAmbiguous,
)

__all__ = [
    "AlreadyExists",
    "BulkResult",
    "BulkStop",
    "Client",
    "ClientClosed",
    "Connection",
    "DeadlineExceeded",
    "DiskFull",
    "DstkError",
    "Etag",
    "EtagMismatched",
    "InsertStopped",
    "Internal",
    "InvalidArgument",
    "InvalidInput",
    "InvalidKey",
    "InvalidRange",
    "InvalidTtl",
    "Key",
    "KeyRange",
    "Mode",
    "NotFound",
    "NotOwner",
    "NotServing",
    "Overloaded",
    "Page",
    "PermissionDenied",
    "PreconditionFailed",
    "Quarantined",
    "RangeDeletionStopped",
    "Record",
    "Scan",
    "SyncClient",
    "SyncScan",
    "Ttl",
    "WriteAmbiguous",
    "WrongContext",
    "connect",
    "connect_sync",
]
