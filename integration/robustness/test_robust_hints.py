"""What `dstk` says when the address is wrong: what is there, and what to do, for every command that talks to a cluster."""

import asyncio
import http.server
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from kit.process_cluster import ProcessCluster, running
from typer.testing import CliRunner

from dstk_cli import diagnosis
from dstk_cli.main import app
from dstk_service.testing import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.slow]

COMMANDS = [
    ["get", "a"],
    ["put", "a", "b"],
    ["delete", "a"],
    ["scan"],
    ["scan", "--output", "json"],
    ["nodes"],
    ["doctor"],
    ["controller", "status"],
    ["partitions", "split", "1"],
    *(["load", __file__, "--format", "jsonl", "--key", "id", *more] for more in ([], ["--direct"])),
]
ids = " ".join


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there answers in time, however busy the machine is."""
    monkeypatch.setattr(diagnosis, "PROBE_SECONDS", PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Two nodes, so that neither knows of everything."""
    with running(ProcessCluster(tmp_path_factory.mktemp("hints"), nodes=2, splits=["m"], router=True)) as made:
        yield made


@contextmanager
def listening(server: http.server.HTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


class QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None: ...


def said(arguments: list[str], router: str, **variables: str) -> str:
    """What was printed about the failure; it must be an error and a hint, and nothing that is worse."""
    answer = CliRunner().invoke(app, [*arguments, "--router", router, "--timeout", "0.4"], env=variables)
    assert answer.exit_code in {1, 2}, answer.output
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    assert "bug" not in answer.stderr
    error, hint = answer.stderr.replace("checking the cluster\n", "").splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("  -> ")
    return answer.stderr


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("command", COMMANDS, ids=ids)
def test_nothing_listens(command: list[str]) -> None:
    shown = said(command, "127.0.0.1:1")
    assert "nothing answers at 127.0.0.1:1: Connection refused" in shown
    assert "is it up?" in shown


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("command", COMMANDS, ids=ids)
def test_a_name_that_nobody_has(command: list[str]) -> None:
    shown = said(command, "no-such-host.invalid:7000")
    assert "there is no host 'no-such-host.invalid'" in shown
    assert "is the name right?" in shown


@pytest.mark.parametrize("command", COMMANDS, ids=ids)
def test_a_web_server(command: list[str]) -> None:
    with listening(QuietServer(("127.0.0.1", 0), Quiet)) as address:
        shown = said(command, address)
    assert f"something listens at {address}, but does not answer as a router does" in shown


@pytest.mark.parametrize("command", [["get", "a"], ["nodes"]], ids=ids)
def test_a_port_with_tls(command: list[str], tmp_path: Path) -> None:
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key",
        "-out",
        "cert",
        "-subj",
        "/CN=x",
    ]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server = QuietServer(("127.0.0.1", 0), Quiet)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with listening(server) as address:
        shown = said(command, address)
    assert "does not answer as a router does" in shown
    assert "a port with TLS" in shown


@pytest.mark.parametrize("command", [["get", "a"], ["nodes"]], ids=ids)
def test_a_process_that_hangs(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as hanging:
        shown = said(command, f"127.0.0.1:{hanging.getsockname()[1]}")
    assert "does not answer as a router does" in shown
    assert "a process that hangs?" in shown


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("command", COMMANDS, ids=ids)
def test_etcd(cluster: ProcessCluster, command: list[str]) -> None:
    shown = said(command, cluster.address("etcd"))
    assert "is not DSTK" in shown
    assert "is the port right?" in shown


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command[0] not in {"get", "put", "delete", "load"}], ids=ids
)
def test_a_storage_node_instead_of_a_router(cluster: ProcessCluster, command: list[str]) -> None:
    assert "is a storage node" in said(command, cluster.address("storage-1"))


@pytest.mark.usefixtures("patient")
def test_a_key_of_another_storage_node(cluster: ProcessCluster) -> None:
    def is_refused_by_one() -> bool:
        answers = [
            CliRunner().invoke(app, ["put", "a", "b", "--router", cluster.address(name), "--timeout", "1"])
            for name in cluster.names
        ]
        refused = [answer.stderr for answer in answers if answer.exit_code]
        assert len(refused) == 1, refused
        return "is a storage node" in refused[0]

    asyncio.run(eventually(partial(asyncio.to_thread, is_refused_by_one)))


@pytest.mark.parametrize("content", [None, "", "  \n", b"\xff\xfe", "two\nlines", "\u0416"])
def test_a_file_without_a_token(cluster: ProcessCluster, tmp_path: Path, content: str | bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    shown = said(["nodes"], cluster.address("router"), DSTK_ADMIN_TOKEN_FILE=str(file))
    assert f"DSTK_ADMIN_TOKEN_FILE names '{file}'" in shown


def run_nodes(router: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DSTK_ADMIN_TOKEN_FILE"}
    command = [Path(sys.executable).with_name("dstk"), "nodes", "--router", router]
    return subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, check=False, timeout=120
    )


async def test_a_wrong_token(tmp_path: Path) -> None:
    token, wrong = tmp_path / "token", tmp_path / "wrong"
    token.write_text("right")
    wrong.write_text("guessed")
    options = ["--admin-token-file", str(token)]
    async with ProcessCluster(tmp_path, router=True, storage_options=options, router_options=options) as guarded:
        for variables in ({"DSTK_ADMIN_TOKEN_FILE": str(wrong)}, {}):
            done = await asyncio.to_thread(run_nodes, guarded.address("router"), variables)
            assert done.returncode == 1
            assert "DSTK_ADMIN_TOKEN_FILE" in done.stderr
            assert "Traceback" not in done.stderr
