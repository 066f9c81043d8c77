"""A cluster of separate processes for one test: etcd, storage nodes, a router, with faults by name.

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
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dstk_cli.local import etcd
from dstk_cli.local.environment import of_children
from dstk_service.channels import open_channel
from dstk_service.testing import eventually
from kit import tampered as tampering
from kit.disks import Disk, with_own_disk
from kit.ports import free_port

SERVING = health_pb2.HealthCheckResponse.SERVING


class ProcessCluster:
    """Starts on entry and has no process left on exit. Ports and directories stay the same over restarts."""

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
        disk_bytes: int = 0,
        tampered: bool = False,
    ) -> None:
        self.directory = directory
        self.names = [f"storage-{number + 1}" for number in range(nodes)]
        self._everything = ["etcd", *self.names, *(["router", "router-2"][:routers] if router else [])]
        self._ports = {name: free_port() for name in [*self._everything, "peer"]}
        self._splits = "[" + ", ".join(f'"{split}"' for split in splits) + "]"
        self._options = list(storage_options)
        self._router_options = list(router_options)
        self._disk_bytes = disk_bytes
        """Of each storage node's own disk, which does not outlive its process; 0: it has none of its own."""
        self._program = [str(Path(tampering.__file__))] if tampered else ["-m", "dstk_storage"]
        self.environments: dict[str, dict[str, str]] = {}
        """Variables that a process gets on top of ours, by its name."""
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.token: str | None = None
        """Of operators' calls: none, they come from the same machine."""

    @property
    def speakers(self) -> list[str]:
        """The processes whose logs are ours."""
        return [name for name in self._everything if name != "etcd"]

    async def __aenter__(self) -> Self:
        """Starts everything and waits until it serves."""
        try:
            for name in self._everything:
                self.launch(name)
            await asyncio.gather(*(self.serving(name) for name in self._everything if name != "etcd"))
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends everything."""
        self._end()

    def address(self, name: str) -> str:
        """host:port of a process."""
        return f"127.0.0.1:{self._ports[name]}"

    def data_dir(self, name: str) -> Path:
        """Of a storage node, or of etcd."""
        return self.directory / name

    def disk(self, name: str) -> Disk:
        """Of a storage node that runs."""
        return Disk(self.pid(name), self.data_dir(name))

    def log(self, name: str) -> str:
        """Everything that the process has logged, over all its lives."""
        return (self.directory / f"{name}.log").read_text()

    def pid(self, name: str) -> int:
        """Of the process that runs now."""
        return self._processes[name].pid

    def launch(self, name: str) -> subprocess.Popen[bytes]:
        """Starts a process and does not wait for it."""
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self._argv(name),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=(of_children() if name == "etcd" else os.environ) | self.environments.get(name, {}),
            )
        self._processes[name] = process
        return process

    async def start(self, name: str) -> None:
        """Starts a process and waits until it serves."""
        self.launch(name)
        if name != "etcd":
            await self.serving(name)

    async def serving(self, name: str, within: float = 30.0) -> None:
        """Waits for the health of a process."""
        async with open_channel(self.address(name), [("grpc.max_reconnect_backoff_ms", 100)]) as channel:
            stub = health_pb2_grpc.HealthStub(channel)

            async def serves() -> bool:
                if self._processes[name].poll() is not None:  # no assertion, which would be waited out
                    raise RuntimeError(f"{name} ended:\n{self.log(name)[-3000:]}")
                try:
                    answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
                except grpc.aio.AioRpcError:
                    return False
                return bool(answer.status == SERVING)

            await eventually(serves, within=within)

    def kill(self, *names: str) -> None:
        """SIGKILL, all of them at one moment."""
        for name in names:
            self._processes[name].kill()
        for name in names:
            self._processes[name].wait()

    def terminate(self, name: str) -> int:
        """SIGTERM; waits for the end and returns the exit code."""
        self._processes[name].terminate()
        return self._processes[name].wait(30)

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
        """With the disk and the clock of a storage node, where the cluster is `tampered`."""
        return tampering.Tampering(self.data_dir(name))

    def storage_argv(self, name: str, *more: str) -> list[str]:
        """The command line of a storage node."""
        return [
            *(sys.executable, *self._program, "--data-dir", str(self.data_dir(name)), "--node-id", name),
            *("--listen", self.address(name), "--etcd", self.address("etcd"), "--cluster", "test"),
            *("--bootstrap-expect", str(len(self.names)), "--bootstrap-splits", self._splits),
            *("--disk-reserve-bytes", "0", *self._options, *more),
        ]

    def _argv(self, name: str) -> Sequence[str]:
        if name == "etcd":
            return etcd.argv(self.data_dir(name), self._ports[name], self._ports["peer"])
        if name.startswith("router"):
            router = (sys.executable, "-m", "dstk_router", "--listen", self.address(name))
            return (*router, "--etcd", self.address("etcd"), "--cluster", "test", *self._router_options)
        disk = with_own_disk(self.data_dir(name), self._disk_bytes) if self._disk_bytes else ()
        return (*disk, *self.storage_argv(name))

    def _end(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()


@contextmanager
def running(cluster: ProcessCluster) -> Iterator[ProcessCluster]:
    """Runs it for tests that each have an event loop of their own."""
    with asyncio.Runner() as runner:
        runner.run(cluster.__aenter__())
        try:
            yield cluster
        finally:
            runner.run(cluster.__aexit__(None, None, None))
