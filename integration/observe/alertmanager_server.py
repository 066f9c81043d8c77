"""A real Alertmanager for tests, with the routes that ship and a test's receivers."""

import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from kit.ports import free_port
from kit.programs import program

from dstk_observability import alertmanager
from dstk_service.testing import eventually


class Alertmanager:
    """Runs from entry to exit, and between `kill` and `start` not. `receivers`: URLs of webhooks, by severity."""

    def __init__(self, directory: Path, receivers: alertmanager.Receivers) -> None:
        self._directory, self._receivers = directory, receivers
        self.address = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Starts it and waits until it answers."""
        self._directory.mkdir()
        configuration = alertmanager.configuration(self._receivers, wait="2s", interval="2s")
        (self._directory / "alertmanager.yml").write_text(configuration)
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        self.kill()

    async def start(self) -> None:
        """Starts it and waits until it answers."""
        self._process = self._launched()
        await eventually(self._ready, within=60)

    def kill(self) -> None:
        """Ends it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _launched(self) -> "subprocess.Popen[bytes]":
        with (self._directory / "alertmanager.log").open("ab") as log:
            return subprocess.Popen(self._argv(), stdout=log, stderr=subprocess.STDOUT, cwd=self._directory)

    def _argv(self) -> list[str]:
        options = {
            "config.file": "alertmanager.yml",
            "storage.path": "data",
            "web.listen-address": self.address,
            "cluster.listen-address": "",
        }
        return [program("alertmanager"), *(f"--{name}={value}" for name, value in options.items())]

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False
