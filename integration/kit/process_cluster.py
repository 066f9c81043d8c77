"""A cluster of separate processes for one test, with faults by name: the programs of `dstk_localcluster`, restarted by nobody.

async with ProcessCluster(tmp_path, nodes=3, splits=["g", "p"]) as cluster:
    cluster.kill("storage-1")
    await cluster.start("storage-1")
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from dstk_localcluster import ClusterDir, health, programs
from dstk_localcluster.plan import ClusterPlan, MetricsPorts
from dstk_localcluster.programs import Program
from dstk_localcluster.running import opened_log, spawn
from dstk_service.testing import PATIENCE_SECONDS
from kit import log_lines
from kit import tampered as tampering
from kit.disks import Disk, with_own_disk
from kit.ports import free_port

POLL_SECONDS = 0.05


class ProcessCluster:
    """Starts on entry and has no process left on exit. Ports and directories stay the same over restarts.

    `metrics`: number of metrics services, "metrics" and "metrics-2". `disk_bytes`: size of the own disk of each storage node
    and metrics service, which is gone with its process; 0: no disk of its own. `tampered`: disks and clocks of storage nodes
    and metrics services can be tampered with.
    """

    def __init__(
        self,
        directory: Path,
        *,
        nodes: int = 1,
        splits: Sequence[str] = (),
        router: bool = False,
        routers: int = 1,
        storage_options: Sequence[str] = (),
        router_options: Sequence[str] = (),
        metrics: int = 0,
        metrics_options: Sequence[str] = (),
        disk_bytes: int = 0,
        tampered: bool = False,
    ) -> None:
        self.directory = directory
        self._files = ClusterDir(directory)
        self._disk_bytes = disk_bytes
        storage_ports = tuple(free_port() for _ in range(nodes))
        operations = tuple(free_port() for _ in range(nodes))
        single = free_port(), free_port(), free_port()
        plan = ClusterPlan("test", *single, storage_ports, tuple(splits), free_port(), operations)
        storages = [
            _with_options(program, *_storage(storage_options)) for program in programs.storages(self._files, plan)
        ]
        gateways = [self._router(plan, name, router_options) for name in ["router", "router-2"][: router and routers]]
        followers = [self._metrics(plan, name, metrics_options) for name in ["metrics", "metrics-2"][:metrics]]
        if tampered:
            storages, followers = (list(map(_tampered, each)) for each in (storages, followers))
        every = (programs.etcd(self._files, plan), *storages, *gateways, *followers)
        self._programs = {each.name: each for each in every}
        self.names = [program.name for program in storages]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.token: str | None = None
        """Of operators' calls: none, they come from the same machine."""

    @property
    def speakers(self) -> list[str]:
        """The processes whose logs are ours."""
        return [name for name in self._programs if name != "etcd"]

    async def __aenter__(self) -> Self:
        """Starts everything and waits until it serves."""
        try:
            for name in self._programs:
                self.launch(name)
            await asyncio.gather(*(self.serving(name) for name in self.speakers))
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends everything. Raises AssertionError if a line of a log does not fit the registry of log fields."""
        self._end()
        if error is None:
            for name in self._programs:
                log_lines.check(name, self._files.log(name).read_text(errors="replace"))

    def address(self, name: str) -> str:
        """host:port of a process."""
        return self._programs[name].address

    def operations(self, name: str) -> str:
        """host:port of a process's /metrics."""
        return self._programs[name].operations

    def console(self, name: str = "metrics") -> str:
        """URL of a metrics service's web page."""
        return self._programs[name].page

    def data_dir(self, name: str) -> Path:
        """Of a storage node, a metrics service, or etcd."""
        return self._files.data(name)

    def disk(self, name: str) -> Disk:
        """Of a storage node or a metrics service that runs."""
        return Disk(self.pid(name), self.data_dir(name))

    def log(self, name: str) -> str:
        """Everything that the process has logged, over all its lives."""
        return self._files.log(name).read_text()

    def pid(self, name: str) -> int:
        """Of the process that runs now."""
        return self._processes[name].pid

    def launch(self, name: str) -> "subprocess.Popen[bytes]":
        """Starts a process and does not wait for it."""
        program = self._programs[name]
        if self._disk_bytes and (name in self.names or name.startswith("metrics")):
            disk = with_own_disk(self.data_dir(name), self._disk_bytes)
            program = replace(program, command=(*disk, *program.command))
        self._files.create()
        with opened_log(program.log) as log:
            self._processes[name] = spawn(program, self.directory, log)
        return self._processes[name]

    async def start(self, name: str) -> None:
        """Starts a process and waits until it serves."""
        self.launch(name)
        if name != "etcd":
            await self.serving(name)

    async def serving(self, name: str, within: float = PATIENCE_SECONDS) -> None:
        """Waits until a process serves. Raises RuntimeError when it ends before, TimeoutError after `within` seconds."""
        serves = asyncio.create_task(health.until_serving(self.address(name)))
        try:
            async with asyncio.timeout(within):
                while not serves.done():
                    if self._processes[name].poll() is not None:
                        raise RuntimeError(f"{name} ended:\n{self.log(name)[-3000:]}")
                    await asyncio.wait([serves], timeout=POLL_SECONDS)
        finally:
            serves.cancel()
            await asyncio.gather(serves, return_exceptions=True)

    def kill(self, *names: str) -> None:
        """SIGKILL, all of them at one moment."""
        for name in names:
            self._processes[name].kill()
        for name in names:
            self._processes[name].wait()

    def terminate(self, name: str) -> int:
        """SIGTERM; waits for the end and returns the exit code."""
        self._processes[name].terminate()
        return self._processes[name].wait(PATIENCE_SECONDS)

    async def stop(self, name: str) -> int:
        """SIGTERM, as `terminate`, while the event loop goes on."""
        return await asyncio.to_thread(self.terminate, name)

    async def restart(self, name: str) -> None:
        """SIGTERM, then a new process that serves: a planned restart."""
        assert await self.stop(name) == 0, f"{name} did not end in order:\n{self.log(name)[-3000:]}"
        await self.start(name)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        os.kill(self._processes[name].pid, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        os.kill(self._processes[name].pid, signal.SIGCONT)

    def tampering(self, name: str) -> tampering.Tampering:
        """With the disk and the clock of a storage node or a metrics service, where the cluster is `tampered`."""
        return tampering.Tampering(self.data_dir(name))

    def argv(self, name: str, *more: str) -> list[str]:
        """The command line of a process, with more options."""
        return [*self._programs[name].argv, *more]

    def _router(self, plan: ClusterPlan, name: str, options: Sequence[str]) -> Program:
        if name != "router":
            plan = replace(plan, router_port=free_port(), router_operations_port=free_port())
        program = programs.router(self._files, plan)
        if "--workers" in options:
            options = (*options, "--operations-listen", "127.0.0.1:0")  # the next ports may be taken
        return _with_options(replace(program, name=name, log=self._files.log(name)), *options)

    def _metrics(self, plan: ClusterPlan, name: str, options: Sequence[str]) -> Program:
        plan = replace(plan, metrics=MetricsPorts(free_port(), free_port(), free_port()))
        return _with_options(programs.metrics(self._files, plan, name), *options)

    def _end(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()


def _with_options(program: Program, *options: str) -> Program:
    return replace(program, options=(*program.options, *options))


def _tampered(program: Program) -> Program:
    return replace(program, command=(sys.executable, tampering.__file__, program.command[-1]))


def _storage(options: Sequence[str]) -> tuple[str, ...]:
    return "--disk-reserve-bytes", "0", *options


@contextmanager
def running(cluster: ProcessCluster) -> Iterator[ProcessCluster]:
    """Runs it for tests that each have an event loop of their own."""
    with asyncio.Runner() as runner:
        runner.run(cluster.__aenter__())
        try:
            yield cluster
        finally:
            runner.run(cluster.__aexit__(None, None, None))
