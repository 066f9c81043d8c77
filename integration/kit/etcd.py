"""A real etcd of one member, for tests that need nothing else."""

import contextlib
import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from dstk_localcluster import etcd
from dstk_localcluster.environment import child_environment
from dstk_service.testing import PATIENCE_SECONDS
from kit.ports import free_port


@contextlib.contextmanager
def running_etcd() -> Iterator[str]:
    """host:port of an etcd; the process and its data are removed when the block ends."""
    port, peer = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="dstk-etcd-") as directory:
        argv = etcd.argv(Path(directory) / "data", port, peer)
        with (
            (Path(directory) / "log").open("wb") as log,
            subprocess.Popen(argv, stdout=log, stderr=log, env=child_environment()) as process,
        ):
            try:
                _wait_until_healthy(port)
                yield f"127.0.0.1:{port}"
            finally:
                process.kill()


def _wait_until_healthy(port: int, within: float = PATIENCE_SECONDS) -> None:
    """The port alone says little: etcd opens it before it can serve."""
    deadline = time.monotonic() + within
    while not _healthy(port):
        assert time.monotonic() < deadline, f"etcd on port {port} is not healthy after {within} s"
        time.sleep(0.02)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return bool(json.load(answer)["health"] == "true")
    except OSError:
        return False
