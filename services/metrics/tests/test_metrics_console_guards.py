"""Who may ask the console, and what its answers may do in a browser."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from kit import console, metrics_data
from kit.fake_metrics import FakeMetrics
from kit.http import ask

from dstk_metrics.console.app import STATIC
from dstk_metrics.console.guards import MAX_BODY_BYTES
from dstk_metrics.console.server import ConsoleServer
from dstk_service.addresses import split
from dstk_service.testing import eventually
from dstk_telemetry import connections

PAGE_FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())


@pytest.fixture
async def server() -> AsyncIterator[ConsoleServer]:
    async with console.serving(FakeMetrics(metrics_data.busy()), hosts="console.example, Wall.Example") as made:
        yield made


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:7200", 200),
        ("a.localhost:1", 200),
        ("127.0.0.1:7200", 200),
        ("10.1.2.3", 200),
        ("[::1]:7200", 200),
        ("console.example:7200", 200),
        ("wall.example", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("console.example.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1 evil.example", 421),
        ("[::1].evil.example", 421),
        ("@", 421),
    ],
)
async def test_a_name_that_is_not_the_consoles_is_refused(server: ConsoleServer, host: str, status: int) -> None:
    for path in ("/", "/api/cluster"):
        answer = await ask(server.address, "GET", path, headers={"host": host})
        assert answer.status == status
        if status == 421:
            assert answer.json["reason"] == "UNKNOWN_HOST"
            assert "--console-hosts" in answer.json["message"]


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)]
)
async def test_a_page_of_another_site_may_not_call(server: ConsoleServer, site: str, status: int) -> None:
    answer = await ask(server.address, "GET", "/api/cluster", headers={"sec-fetch-site": site})
    assert answer.status == status
    assert (await ask(server.address, "GET", "/", headers={"sec-fetch-site": site})).status == 200


@pytest.mark.parametrize("path", ["/", "/js/main.js", "/api/cluster", "/api/v1/Nothing", "/nothing"])
async def test_every_answer_forbids_what_the_page_does_not_need(server: ConsoleServer, path: str) -> None:
    headers = (await ask(server.address, "GET", path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == ("no-store" if path.startswith("/api/") else "no-cache")
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/../app.py", "/%2e%2e/app.py", "/js/..%2f..%2fapp.py", "//etc/passwd", "/js/%00"])
async def test_only_the_pages_files_are_served(server: ConsoleServer, path: str) -> None:
    assert (await ask(server.address, "GET", path)).status in {404, 400}


async def test_a_long_body_is_refused(server: ConsoleServer) -> None:
    answer = await ask(server.address, "POST", "/api/v1/EstimateRange", b" " * (MAX_BODY_BYTES + 1))
    assert (answer.status, answer.json["reason"]) == (413, "TOO_LARGE")


async def test_a_request_that_never_ends_is_cut_off(server: ConsoleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
    host, port = split(server.address)
    for sent in (
        b"",
        b"GET / HT",
        b"POST /api/v1/EstimateRange HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
    await eventually(lambda: not server.connections)


@pytest.mark.parametrize("path", PAGE_FILES, ids=lambda path: str(path.relative_to(STATIC)))
def test_the_page_names_no_other_server(path: Path) -> None:
    text = path.read_text()
    addresses = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"'`)]*", text))
    known = {"http://www.w3.org/2000/svg"} | {each for each in addresses if "uplot" in str(path)}
    assert addresses <= known


def test_the_vendored_library_is_what_its_note_says() -> None:
    folder = STATIC / "vendor" / "uplot"
    lines = re.findall(r"^([0-9a-f]{64})  (\S+)$", (folder / "VENDORED.txt").read_text(), re.MULTILINE)
    assert {name for _, name in lines} == {path.name for path in folder.iterdir()} - {"VENDORED.txt"}
    for digest, name in lines:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
