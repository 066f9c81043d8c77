"""The example in Node does what docs/other-languages.md says, against a real cluster, and while its router is restarted."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import snippets
from kit.process_cluster import ProcessCluster, running

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "node"
NODE, NPM = shutil.which("node"), shutil.which("npm")
INSTALL_SECONDS = 200

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        NODE is None, reason="node is missing: install Node 18 or newer (Debian: apt-get install nodejs npm)"
    ),
]


ENVIRONMENT = os.environ | {"DSTK_PROTO": str(ROOT / "proto"), "http_proxy": "http://127.0.0.1:9"}


def node(directory: Path, *arguments: str | Path) -> str:
    """What the program prints; an end other than 0 fails."""
    done = subprocess.run(
        ["node", *arguments], cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its packages."""
    if NPM is None:
        pytest.skip("npm is missing: install it (Debian: apt-get install npm)")
    directory = tmp_path_factory.mktemp("example")
    for file in EXAMPLE.iterdir():
        if file.is_file():
            shutil.copy(file, directory)
    install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts"]
    done = subprocess.run(install, cwd=directory, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install the example's packages here: {done.stderr[-300:]}")
    return directory


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    with running(ProcessCluster(tmp_path_factory.mktemp("node"), nodes=2, splits=["m"], router=True)) as made:
        yield made


def shown(page: str, command: str) -> list[str]:
    """What the page shows that a command prints."""
    pages = [found for block in snippets.blocks(ROOT / "docs" / page) for found in block.commands()]
    (lines,) = [found.shown for found in pages if found.text.startswith(command)]
    return lines or []


def test_the_key_encoding_is_the_one_of_the_vectors() -> None:
    printed = node(ROOT, EXAMPLE / "vectors.js", ROOT / "docs" / "key-encoding-vectors.json")
    assert printed.splitlines() == shown("key-encoding.md", "node examples/node/vectors.js")


def test_the_tour_prints_what_the_page_shows(example: Path, cluster: ProcessCluster) -> None:
    printed = node(example, "main.js", cluster.address("router")).splitlines()
    wanted = shown("other-languages.md", "node main.js")
    assert len(printed) == len(wanted) == 6
    assert snippets.same(wanted, printed), printed


@pytest.mark.parametrize("target", ["router", "storage-1"])
async def test_nothing_is_in_doubt_while_a_server_is_restarted(
    example: Path, cluster: ProcessCluster, target: str
) -> None:
    pipe = asyncio.subprocess.PIPE
    writing = await asyncio.create_subprocess_exec(
        "node", "restart.js", cluster.address("router"), cwd=example, env=ENVIRONMENT, stdin=pipe, stdout=pipe
    )
    try:
        assert writing.stdout is not None
        assert await writing.stdout.readline() == b"writing\n"
        await cluster.restart(target)
        printed, _ = await asyncio.wait_for(writing.communicate(b""), 120)
    finally:
        if writing.returncode is None:
            writing.kill()
            await writing.wait()
    counts = json.loads(printed)
    assert counts["written"] > 64
    assert counts["ambiguous"] == 0
    assert (counts["resent"] > 0) == (target == "router")


def test_the_copies_of_googles_protos_are_whole() -> None:
    import google.rpc  # noqa: PLC0415 - a namespace of which the package has more

    for name in ("status.proto", "error_details.proto"):
        (original,) = [found for path in google.rpc.__path__ if (found := Path(path) / name).exists()]
        assert (ROOT / "proto" / "google" / "rpc" / name).read_bytes() == original.read_bytes()
