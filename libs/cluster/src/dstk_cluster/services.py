"""Services that are not storage nodes: each registers itself, and others find it by its kind.

/dstk/<cluster>/services/<kind>/<id>   {"version", "address", "software", "console"}; under the service's lease

A service takes a new id at every start, so that no two of them ever write the same key, whatever their addresses are. What a
service that was killed has left ends with its lease.
"""

import asyncio
import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from typing_extensions import override

from dstk_cluster import records
from dstk_cluster.follow import Follower
from dstk_cluster.leased_entry import LeasedEntry
from dstk_cluster.port import Coordinator, Entry, WatchBatch
from dstk_cluster.records import Keys
from dstk_service.addresses import checked
from dstk_service.clock import Clock
from dstk_service.errors import InvalidArgument
from dstk_service.logs.fields import LogFields
from dstk_service.service import Background, Part

log = logging.getLogger(__name__)

MAX_VALUE_BYTES: Final = 4096
MAX_TEXT: Final = 256


class ServiceKind(StrEnum):
    """What a service is."""

    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """A service that is registered. `address`: host:port of its gRPC; `console`: URL of its web page, or ""."""

    id: str
    address: str
    software: str
    console: str = ""


def new_id(rng: random.Random) -> str:
    """Returns an id that no other process has."""
    return f"{rng.getrandbits(64):016x}"


def dump_service(info: ServiceInfo) -> bytes:
    """Encodes a service."""
    return records.dump(address=info.address, software=info.software, console=info.console)


def load_service(service_id: str, raw: bytes) -> ServiceInfo:
    """Decodes a service. Raises ValueError for whatever is not one."""
    if len(raw) > MAX_VALUE_BYTES:
        raise ValueError(f"it has {len(raw)} bytes, and may have at most {MAX_VALUE_BYTES}")
    try:
        fields = records.load(raw)
        address = checked(_text(fields, "address"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except InvalidArgument as error:
        raise ValueError(str(error)) from error
    console = _text(fields, "console")
    if console and not console.startswith(("http://", "https://")):
        raise ValueError(f"its console {console!r} is not an address that begins with http:// or https://")
    return ServiceInfo(service_id, address, _text(fields, "software"), console)


def _text(fields: dict[str, Any], name: str) -> str:
    text = fields.get(name)
    if not isinstance(text, str) or len(text) > MAX_TEXT or not text.isprintable():
        raise ValueError(f"its {name} is {json.dumps(text)[:MAX_TEXT]}, not a text of at most {MAX_TEXT} characters")
    return text


class ServiceRegistration(Part):
    """Registers the service once all of its parts have started; deletes the registration before they stop.

    `describe` is called when all parts have started, and may raise OSError. `seconds`: the length of the lease.
    """

    name = "registration"

    def __init__(
        self,
        coordinator: Coordinator,
        cluster: str,
        kind: ServiceKind,
        describe: Callable[[], ServiceInfo],
        seconds: int,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._coordinator, self._keys, self._kind, self._describe = coordinator, Keys(cluster), kind, describe
        self._seconds, self._clock, self._rng = seconds, clock, rng
        self._background: Background | None = None
        self._entry: LeasedEntry | None = None
        self._running: asyncio.Task[None] | None = None

    @override
    async def start(self, background: Background) -> None:
        self._background = background

    @override
    async def ready(self) -> None:
        assert self._background is not None, "a part is started before it is ready"
        info = self._describe()
        key = self._keys.service(self._kind, info.id)
        self._entry = LeasedEntry(self._coordinator, key, dump_service(info), self._seconds, self._clock, self._rng)
        self._running = self._background(self._entry.run())

    @override
    async def drain(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._entry is not None:
            await self._entry.leave()

    @override
    async def close(self) -> None:
        if self._entry is not None:
            await self._entry.leave()


class ServiceDirectory(Part):
    """The registered services of a kind; `run` keeps them up to date. While etcd is unreachable, the last known ones stay.

    A value that is not a service is named in the log and skipped.
    """

    name = "services"

    def __init__(
        self, coordinator: Coordinator, cluster: str, kind: ServiceKind, clock: Clock, rng: random.Random
    ) -> None:
        self._coordinator, self._kind = coordinator, kind
        self._prefix = Keys(cluster).services(kind)
        self._known: dict[bytes, ServiceInfo] = {}
        self._follower = Follower(
            coordinator, self._prefix, f"the list of {kind} services", clock, rng, load=self._load, apply=self._apply
        )

    @property
    def services(self) -> tuple[ServiceInfo, ...]:
        """The services by id, each address once: a service that was killed and started again has two entries for a while."""
        by_address: dict[str, ServiceInfo] = {}
        for key in sorted(self._known):
            by_address.setdefault(self._known[key].address, self._known[key])
        return tuple(by_address.values())

    @override
    async def start(self, background: Background) -> None:
        background(self.run())

    async def run(self) -> None:
        """Follows the services in etcd until cancelled."""
        await self._follower.run()

    async def _load(self) -> int:
        entries, revision = await self._coordinator.range(self._prefix)
        for key in self._known.keys() - {entry.key for entry in entries}:
            self._remove(key)
        for entry in entries:
            self._add(entry)
        return revision

    async def _apply(self, batch: WatchBatch) -> int:
        for key in batch.deletes:
            self._remove(key)
        for entry in batch.puts:
            self._add(entry)
        return batch.revision

    def _add(self, entry: Entry) -> None:
        try:
            info = load_service(entry.key.removeprefix(self._prefix).decode(), entry.value)
        except ValueError as error:
            log.warning(
                "etcd key %r does not hold a %s service: skipping it",
                entry.key,
                self._kind,
                extra=LogFields(error=str(error)),
            )
            self._remove(entry.key)
            return
        if self._known.get(entry.key) != info:
            log.info("a %s service is registered", self._kind, extra=LogFields(address=info.address))
        self._known[entry.key] = info

    def _remove(self, key: bytes) -> None:
        if (gone := self._known.pop(key, None)) is not None:
            log.info("a %s service is not registered any more", self._kind, extra=LogFields(address=gone.address))
