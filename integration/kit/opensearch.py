"""A real OpenSearch for one test: the program `dstk-opensearch`, which `make observe` builds."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from dstk_service.testing import eventually

PROGRAM: Final = "dstk-opensearch"
START_SECONDS: Final = 300.0


class OpenSearch:
    """Its HTTP API, at a port of the loopback address."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def call(self, method: str, path: str, content: object = None) -> Any:
        """Sends a request and returns the JSON of its answer. Raises AssertionError with the answer when it is refused."""
        lines = content if isinstance(content, str) else json.dumps(content)
        kind = "application/x-ndjson" if isinstance(content, str) else "application/json"
        data = None if content is None else lines.encode()
        request = urllib.request.Request(f"{self._base}/{path}", data, {"Content-Type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def ingest(self, stream: str, documents: Iterable[Mapping[str, Any]], *, at_once: int = 500) -> list[Any]:
        """Creates the documents in a data stream; returns what was refused. They can be searched afterwards."""
        pending, refused = list(documents), []
        for start in range(0, len(pending), at_once):
            lines = [f'{{"create": {{}}}}\n{json.dumps(each)}\n' for each in pending[start : start + at_once]]
            answer = self.call("POST", f"{stream}/_bulk", "".join(lines))
            refused += [item["create"] for item in answer["items"] if item["create"]["status"] != 201]
        self.call("POST", f"{stream}/_refresh")
        return refused

    def search(self, stream: str, query: str, size: int = 10_000) -> list[dict[str, Any]]:
        """Returns the documents that a query in Lucene's language finds."""
        found = self.call(
            "POST",
            f"{stream}/_search",
            {"size": size, "query": {"query_string": {"query": query, "analyze_wildcard": True}}},
        )
        return [hit["_source"] for hit in found["hits"]["hits"]]

    def count(self, stream: str, query: str) -> int:
        """How many documents a query finds."""
        content = {"query": {"query_string": {"query": query, "analyze_wildcard": True}}}
        return int(self.call("POST", f"{stream}/_count", content)["count"])


@contextmanager
def opensearch(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the server; `started` waits for it."""
    program = shutil.which(PROGRAM)
    if program is None:
        pytest.skip(f"{PROGRAM} is not on PATH: `make observe` builds it, with Java 17 or newer and Maven")
    (directory / "config").mkdir(parents=True)
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen([program, str(directory), str(directory / "port")], stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


async def started(directory: Path, process: "subprocess.Popen[bytes]") -> OpenSearch:
    """Waits until the server answers."""
    port = directory / "port"
    await eventually(lambda: port.exists() or process.poll() is not None, within=START_SECONDS)
    assert port.exists(), (directory / "log").read_text()
    server = OpenSearch(int(port.read_text()))
    server.call("GET", "_cluster/health?wait_for_status=yellow&timeout=60s")
    return server
