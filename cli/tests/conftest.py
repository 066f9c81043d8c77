"""A cluster of one dict for the tests of commands, a scripted router for those of operators' commands, and runners that call
them as a shell would.
"""

import bisect
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from kit.examined import FakeFacts
from typer.testing import CliRunner, Result

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2, topology_pb2_grpc
from dstk_cli.connection import Target
from dstk_cli.main import app
from dstk_client import BulkResult, BulkStop, Record
from dstk_client.bulk import Options, insert_sorted
from dstk_keytypes import Etag, Key, KeyRange, Ttl
from dstk_service.errors import AlreadyExists, EtagMismatched
from dstk_service.status import to_status

NOW_MS = 1_700_000_000_000


class DictClient:
    """As much of a client as the commands need. `failures`: raised by the next bulk inserts, one each."""

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.failures: list[Exception] = []
        self.border: bytes | None = None
        self.uid = "c0ffee"
        self.timeout = 60.0
        self._etag = 0

    async def get(self, key: Key) -> Record | None:
        return self.records.get(key)

    async def put(
        self, key: Key, value: bytes, *, if_absent: bool = False, if_etag: int | None = None, ttl: Ttl | None = None
    ) -> Etag:
        current = self.records.get(key)
        if if_absent and current:
            raise AlreadyExists(current.etag)
        if if_etag and (current is None or current.etag != if_etag):
            raise EtagMismatched(current.etag if current else 0)
        return self._write(key, value, NOW_MS + ttl if ttl else 0)

    async def delete(self, key: Key, *, if_etag: int | None = None) -> bool:
        return self.records.pop(key, None) is not None

    async def scan(
        self, key_range: KeyRange, *, limit: int | None = None, reverse: bool = False
    ) -> AsyncIterator[Record]:
        keys = sorted(filter(key_range.contains, self.records), reverse=reverse)
        for key in keys[:limit]:
            yield self.records[key]

    async def insert_sorted(self, records: Any, *, timeout: float | None = None, **given: Any) -> int:
        options = Options(in_flight=4, if_absent=False, timeout=timeout or self.timeout, **given)
        return await insert_sorted(self, records, options)

    async def bulk_insert(
        self,
        records: Sequence[tuple[Key, bytes]],
        *,
        ttl: Any = None,
        expires_at_ms: Sequence[int] = (),
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> BulkResult:
        if self.failures:
            raise self.failures.pop(0)
        keys = [key for key, _ in records]
        assert keys == sorted(set(keys))
        end = len(keys)
        if self.border is not None and keys[0] < self.border:
            end = bisect.bisect_left(keys, self.border)
        expiries = expires_at_ms or [NOW_MS + ttl if ttl else 0] * len(keys)
        assert len(expiries) == len(keys)
        etags = [self._write(key, value, expiry) for (key, value), expiry in zip(records[:end], expiries, strict=False)]
        stop = BulkStop.COMPLETE if end == len(keys) else BulkStop.PARTITION_END
        return BulkResult(end, etags, stop, 0)

    def _write(self, key: Key, value: bytes, expires_at_ms: int) -> Etag:
        self._etag += 1
        self.records[key] = Record(key, value, self._etag, NOW_MS, expires_at_ms)
        return Etag(self._etag)


class Shell:
    """Calls `dstk` against the dict."""

    def __init__(self, client: DictClient) -> None:
        self.client = client

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, [*arguments], input=stdin, env={"DSTK_ROUTER": "127.0.0.1:1", "COLUMNS": "160"})


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    client = DictClient()

    @asynccontextmanager
    async def fake(target: Target, _mode: str = "gateway") -> AsyncIterator[DictClient]:
        client.timeout = target.timeout
        yield client

    async def identity(_target: Target) -> tuple[str, str]:
        return "test", client.uid

    monkeypatch.setattr(Target, "client", fake)
    monkeypatch.setattr(Target, "identity", identity)
    return Shell(client)


class ScriptedAdmin:
    """A router's Admin and Topology services as a test tells them, over real gRPC.

    `answers`: by method, each call takes the next one and the last one for ever; an exception is raised, what can be called
    is asked with the request. `asked`: the changes that arrived, as (method, request).
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.metadata: dict[str, Any] = {}
        self.address = ""

    def reply(self, method: str, request: Any, context: Any) -> Any:
        if not method.startswith(("List", "Get", "Watch")):
            self.asked.append((method, request))
        self.metadata = dict(context.invocation_metadata())
        script = self.answers.get(method)
        if script is None:
            kind = "TopologyUpdate" if method == "Watch" else f"{method}Response"
            return getattr(topology_pb2 if method == "Watch" else admin_pb2, kind)()
        answer = script.pop(0) if len(script) > 1 else script[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            context.abort_with_status(rpc_status.to_status(to_status(answer)))
        return answer

    def shows(
        self, *entries: topology_pb2.Partition, nodes: Sequence[admin_pb2.NodeStatus] = (), **settings: Any
    ) -> None:
        """A cluster in which everybody answers and every replica in sync stands at write 100 of epoch 5."""
        self.answers["Watch"] = [topology_pb2.TopologyUpdate(full=True, partitions=entries)]
        statuses = [figures(entry) for entry in entries]
        self.answers["ListPartitions"] = [admin_pb2.ListPartitionsResponse(partitions=statuses)]
        self.answers["ListReplicas"] = [
            admin_pb2.ListReplicasResponse(
                replicas=[replica(entry, name) for entry in entries for name in entry.replicas]
            )
        ]
        named = sorted({name for entry in entries for name in entry.replicas})
        self.answers["ListNodes"] = [admin_pb2.ListNodesResponse(nodes=nodes or list(map(node, named)))]
        chosen = admin_pb2.ControllerSettings(**{"replicas": 3, "gone_seconds": 30, "compare_hours": 24, **settings})
        self.answers["GetController"] = [admin_pb2.GetControllerResponse(leader="storage-1", settings=chosen)]


def entry(number: int, replicas: str, start: bytes = b"", end: bytes = b"", epoch: int = 5) -> Any:
    """Of the map. `replicas`: numbers of nodes, the primary first; those behind a / are not in sync: "12/3"."""
    in_sync, _, others = replicas.partition("/")
    names = [f"storage-{digit}" for digit in in_sync]
    return topology_pb2.Partition(
        id=number,
        start=start,
        end=end,
        epoch=epoch,
        primary=names[0],
        replicas=[*names, *(f"storage-{digit}" for digit in others)],
        in_sync=names,
    )


def figures(entry: topology_pb2.Partition, sequence: int = 100) -> admin_pb2.PartitionStatus:
    """Of a partition's primary."""
    return admin_pb2.PartitionStatus(
        partition=entry,
        serving=True,
        known=True,
        sequence=sequence,
        estimated_records=1234,
        estimated_bytes=5 << 20,
        reads=7,
        read_failures=admin_pb2.FailureCounts(client=1, refused=2, server=3),
        followers=[
            admin_pb2.FollowerStatus(node=name, sequence=sequence, silent_s=0.1)
            for name in entry.replicas
            if name != entry.primary
        ],
    )


def replica(entry: topology_pb2.Partition, name: str, **fields: Any) -> admin_pb2.ReplicaStatus:
    """As its own node sees it."""
    values: dict[str, Any] = {
        "partition_id": entry.id,
        "node": name,
        "start": entry.start,
        "end": entry.end,
        "epoch": entry.epoch,
        "position_epoch": entry.epoch,
        "position_sequence": 100,
        "promised": entry.epoch,
        "primary": name == entry.primary,
    }
    return admin_pb2.ReplicaStatus(**{**values, **fields})


def node(name: str, **fields: Any) -> admin_pb2.NodeStatus:
    """One that is well."""
    about = topology_pb2.Node(
        id=name,
        address=f"10.0.0.{name[-1]}:7101",
        state=topology_pb2.NODE_STATE_SERVING,
        capacity_bytes=fields.pop("capacity_bytes", 100 << 30),
        version=fields.pop("version", "0.1.0"),
    )
    values: dict[str, Any] = {
        "node": about,
        "alive": True,
        "free_bytes": 60 << 30,
        "uptime_s": 65,
        "clock_ms": NOW_MS,
        "etcd_reachable": True,
        "desired_state": admin_pb2.DESIRED_STATE_ACTIVE,
        "misrouted_reads": admin_pb2.FailureCounts(refused=12),
    }
    return admin_pb2.NodeStatus(**{**values, **fields})


def gone(name: str, **fields: Any) -> admin_pb2.NodeStatus:
    """One that is not alive."""
    return admin_pb2.NodeStatus(node=topology_pb2.Node(id=name), **fields)


class OperatorsShell:
    """Calls `dstk` against the scripted router."""

    def __init__(self, router: ScriptedAdmin) -> None:
        self.router = router

    def __call__(self, *arguments: str, **env: str) -> Result:
        environment = {"DSTK_ROUTER": self.router.address, "COLUMNS": "160", **env}
        return CliRunner().invoke(app, [*arguments], env=environment)


@pytest.fixture
def build() -> Any:
    """The builders, for tests: the modules of tests cannot import each other."""
    return SimpleNamespace(entry=entry, figures=figures, replica=replica, node=node, gone=gone, now_ms=NOW_MS)


@pytest.fixture
def operate() -> Iterator[OperatorsShell]:
    """The server runs on threads of its own, since each command runs an event loop of its own."""
    router = ScriptedAdmin()
    server = grpc.server(ThreadPoolExecutor(8))
    for name, service in (("Admin", admin_pb2), ("Topology", topology_pb2)):
        methods = service.DESCRIPTOR.services_by_name[name].methods
        register = {"Admin": admin_pb2_grpc.add_AdminServicer_to_server}.get(
            name, topology_pb2_grpc.add_TopologyServicer_to_server
        )
        register(SimpleNamespace(**{method.name: _method(router, method.name) for method in methods}), server)
    alive = health.HealthServicer()
    alive.set("dstk.v1.KeyValue", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(alive, server)
    router.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield OperatorsShell(router)
    finally:
        server.stop(0).wait()


@pytest.fixture
def well(build: Any) -> FakeFacts:
    return FakeFacts(build)


@pytest.fixture
def cluster(operate: Any, build: Any) -> Any:
    """Two partitions; the second one has a learner on storage-3."""
    operate.router.shows(build.entry(1, "123", end=b"m"), build.entry(2, "21/3", start=b"m"))
    return operate


def _method(router: ScriptedAdmin, name: str) -> Any:
    def call(request: Any, context: Any) -> Any:
        return router.reply(name, request, context)

    def stream(request: Any, context: Any) -> Any:
        yield router.reply(name, request, context)

    return stream if name == "Watch" else call
