"""A real Jaeger with the configuration that is shipped, on ports of its own, and what its API answers."""

import asyncio
import json
import os
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from dstk_service.testing import eventually
from kit.collector import SeenSpan, Value
from kit.ports import free_port

CONFIG = Path(__file__).parents[2] / "observability" / "jaeger" / "jaeger.yml"
START_SECONDS = 60.0


class Jaeger:
    """`endpoint`: where it takes traces, by OTLP over HTTP."""

    def __init__(self) -> None:
        self._ports = {
            name: f"127.0.0.1:{free_port()}" for name in ("QUERY", "QUERY_GRPC", "OTLP_HTTP", "OTLP_GRPC", "HEALTH")
        }
        self.endpoint = f"http://{self._ports['OTLP_HTTP']}"

    @property
    def variables(self) -> Mapping[str, str]:
        """What its configuration reads."""
        return {f"JAEGER_{name}": address for name, address in self._ports.items()}

    async def is_healthy(self) -> bool:
        """Whether it takes and answers."""
        with suppress(OSError):
            return bool(await self._get("HEALTH", "/status"))
        return False

    async def trace_of(self, service: str, operation: str, **tags: str) -> list[SeenSpan]:
        """The newest trace of a service that has a span of this name with these tags, dots in their names as double
        underscores. Raises AssertionError if there is none.
        """
        wanted = json.dumps({key.replace("__", "."): value for key, value in tags.items()})
        query = urllib.parse.urlencode({"service": service, "operation": operation, "tags": wanted, "limit": 100})
        found = (await self._get("QUERY", f"/api/traces?{query}"))["data"]
        assert found, f"no {operation} of {service}"
        newest = max(found, key=lambda trace: max(span["startTime"] for span in trace["spans"]))
        whole = (await self._get("QUERY", f"/api/traces/{newest['traceID']}"))["data"]
        return [_seen(span, trace["processes"]) for trace in whole for span in trace["spans"]]

    async def _get(self, port: str, path: str) -> Any:
        def get() -> Any:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://{self._ports[port]}{path}", timeout=10) as answer:
                return json.load(answer)

        return await asyncio.to_thread(get)


@asynccontextmanager
async def running_jaeger(program: str, directory: Path) -> AsyncIterator[Jaeger]:
    """Starts the program, waits until it takes traces, and ends it."""
    jaeger = Jaeger()
    with (directory / "jaeger.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, f"--config={CONFIG}", stdout=log, stderr=log, env={**os.environ, **jaeger.variables}
        )
    try:
        await eventually(jaeger.is_healthy, within=START_SECONDS)
        yield jaeger
    finally:
        process.terminate()
        await process.wait()


def _seen(span: Mapping[str, Any], processes: Mapping[str, Any]) -> SeenSpan:
    process = processes[span["processID"]]
    tags, own = _tags(span["tags"]), _tags(process["tags"])
    references = {each["refType"]: each["spanID"] for each in span["references"]}
    parent = references.get("CHILD_OF", "")
    return SeenSpan(
        span["operationName"],
        process["serviceName"],
        str(own.get("service.instance.id", "")),
        span["traceID"],
        span["spanID"],
        parent,
        tags,
        frozenset(each["spanID"] for each in span["references"] if each["refType"] == "FOLLOWS_FROM"),
        tags.get("error") is True,
        span["duration"] / 1e6,
    )


def _tags(given: list[dict[str, Any]]) -> dict[str, Value]:
    return {each["key"]: each["value"] for each in given}
