"""`dstk local` on one data directory, each call a process of its own, as a user would call it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from dstk_localcluster import ClusterState, state_file
from dstk_localcluster.processes import ProcessRef
from dstk_service.testing import eventually

DSTK = Path(sys.executable).with_name("dstk")


class DstkLocal:
    """Calls `dstk` with the data directory, in `here`, behind `prefix`, with `environment` on top of ours."""

    def __init__(
        self,
        directory: Path,
        *,
        here: Path | None = None,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self._here = here
        self._prefix = prefix
        self.environment = {**os.environ, "DSTK_DATA_DIR": str(directory), "COLUMNS": "200", **(environment or {})}
        self.environment.pop("DSTK_ROUTER", None)

    def argv(self, *arguments: str) -> list[str]:
        """The command line of a call."""
        return [*self._prefix, str(DSTK), *arguments]

    def __call__(self, *arguments: str, expect: int | None = 0) -> str:
        """What it printed, on both outputs. Never a traceback; `expect` is the exit code, None for any."""
        done = subprocess.run(
            self.argv(*arguments),
            env=self.environment,
            cwd=self._here,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # it may have been told another one
            timeout=120,
            check=False,
        )
        assert expect is None or done.returncode == expect, done.stdout + done.stderr + self.logs()
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Begins a call and does not wait; what it says on the error output is kept."""
        nowhere, pipe = subprocess.DEVNULL, subprocess.PIPE
        return subprocess.Popen(
            self.argv(*arguments), env=self.environment, cwd=self._here, stdout=nowhere, stderr=pipe
        )

    def status(self) -> dict[str, Any]:
        """`dstk local status` for programs."""
        answer: dict[str, Any] = json.loads(self("local", "status", "--output", "json", expect=None).splitlines()[0])
        return answer

    def child(self, name: str) -> dict[str, Any]:
        """A process as `dstk local status` shows it."""
        found: dict[str, Any] = next(child for child in self.status()["processes"] if child["name"] == name)
        return found

    @property
    def running(self) -> ClusterState | None:
        """What the supervisor wrote down."""
        return state_file.load(self.directory / "run.json")

    def process(self, name: str) -> ProcessRef:
        """One that runs."""
        running = self.running
        assert running is not None
        found = next(each.process for each in running.processes if each.name == name)
        assert found is not None
        return found

    def processes(self) -> list[ProcessRef]:
        """The supervisor, and those that it keeps."""
        running = self.running
        return [running.supervisor, *running.running()] if running else []

    def kill(self, name: str) -> None:
        """SIGKILL of one that is kept alive."""
        os.kill(self.process(name).pid, signal.SIGKILL)

    async def kill_supervisor(self) -> list[ProcessRef]:
        """SIGKILL; returns what it leaves behind."""
        supervisor, *orphans = self.processes()
        os.kill(supervisor.pid, signal.SIGKILL)
        await eventually(lambda: not supervisor.alive)
        assert all(process.alive for process in orphans)
        return orphans

    def logs(self) -> str:
        """The ends of all of them."""
        return "".join(f"\n{path.name}: {path.read_text()[-2000:]}" for path in self.directory.glob("logs/*"))

    def end(self) -> None:
        """Stops everything, and sees to it that nothing is left."""
        self("local", "down", expect=None)
        left = [p.info for p in psutil.process_iter(["pid", "cmdline"]) if self._is_of(p.info["cmdline"] or [])]
        assert not left

    def _is_of(self, cmdline: Sequence[str]) -> bool:
        return str(self.directory) in " ".join(cmdline)
