"""Failed operations, from the calls that fail at processes to what `dstk` shows of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.command import Command
from kit.contract import bulk, failure
from kit.process_cluster import ProcessCluster

from dstk.v1 import kv_pb2, kv_pb2_grpc, records_pb2
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Profile

pytestmark = [pytest.mark.slow]

ABSENT = records_pb2.PRECONDITION_IF_ABSENT


class Shown:
    """What the command shows at one moment."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self.partition = self._json("partitions", "show", "--key", "fails", "-o", "json")
        nodes = self._json("nodes", "-o", "json")["nodes"]
        self.node = next(node for node in nodes if node["id"] == "storage-1")

    def _json(self, *arguments: str) -> Any:
        return json.loads(self._command(*arguments).stdout)

    def text(self) -> str:
        return self._command("partitions", "show", "--key", "fails").stdout.decode()


def more(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[int, ...]:
    """How many more of each class: caused by the client, refused, failed at the server."""
    return tuple(after[name] - before[name] for name in ("client", "refused", "server"))


async def test_failed_operations_are_shown_by_class_for_the_partition_or_for_the_node(
    cluster: ProcessCluster, tmp_path: Path
) -> None:
    command = Command(cluster.address("router"), tmp_path)
    before = Shown(command)
    async with GRPC.connect(cluster.address("storage-1"), Profile.DEFAULT) as channel:
        stub = kv_pb2_grpc.KeyValueStub(channel)
        await stub.Put(kv_pb2.PutRequest(key=b"fails", value=b"v"))
        await failure(stub.Put(kv_pb2.PutRequest(key=b"fails", value=b"v", precondition=ABSENT)))
        await failure(stub.Get(kv_pb2.GetRequest(key=b"fails", epoch=1000)))
        await failure(stub.Get(kv_pb2.GetRequest(key=b"zebra")))
        await failure(stub.Scan(kv_pb2.ScanRequest(start=b"fails")))
        await failure(stub.BulkInsert(bulk(b"zebra")))
        lane: Any = stub.Execute()
        get, delete = kv_pb2.OPERATION_KIND_GET, kv_pb2.OPERATION_KIND_DELETE
        stale = [kv_pb2.Operation(kind=kind, key=b"fails", epoch=1000) for kind in (get, delete)]
        await lane.write(
            kv_pb2.ExecuteRequest(id=1, operations=[*stale, kv_pb2.Operation(kind=get, key=b"fails none")])
        )
        await lane.read()
        await lane.done_writing()
    after = Shown(command)
    for name, expected in (("read_failures", (1, 2, 0)), ("write_failures", (1, 1, 0))):
        assert more(before.partition[name], after.partition[name]) == expected
    for name in ("misrouted_reads", "misrouted_writes"):
        assert more(before.node[name], after.node[name]) == (0, 1, 0)
    reads = after.partition["read_failures"]
    lines = [" ".join(line.split()) for line in after.text().splitlines()]
    assert f"failed reads {reads['client']} by the client, {reads['refused']} refused, 0 by the server" in lines
