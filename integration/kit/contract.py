"""Raw calls of the contract."""

from typing import Any

import grpc
import pytest

from dstk.v1 import kv_pb2


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def bulk(*keys: bytes, value: bytes = b"v", **fields: Any) -> kv_pb2.BulkInsertRequest:
    return kv_pb2.BulkInsertRequest(keys=keys, values=[value] * len(keys), **fields)
