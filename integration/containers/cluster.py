"""The compose stack as a test sees it: services by name, and what can happen to them.

await cluster.kill("storage-1")
await cluster.partition({"storage-1"}, {"storage-2", "storage-3"})
await cluster.cut("storage-1", "etcd-1")
await cluster.mend()
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from itertools import product
from pathlib import Path
from subprocess import CalledProcessError
from types import TracebackType
from typing import Any, Self, TypeVar

from docker.client import DockerClient
from docker.models.containers import Container
from kit.ports import free_port
from testcontainers.compose import DockerCompose

from containers.docker import PROJECT_LABEL, ROOT, is_phantom_alone
from containers.network import CLIENTS as CLIENTS
from containers.network import Cuts
from dstk_service.testing import eventually

T = TypeVar("T")

ETCD = ("etcd-1", "etcd-2", "etcd-3")
STORAGE = ("storage-1", "storage-2", "storage-3")
ROUTERS = ("router-1", "router-2")
METRICS = "metrics"
HEALTHY_SECONDS = 60.0


class ContainerCluster:
    """One project of docker-compose.yml: up on entry, on exit gone with all its data. Verbs do not block the event loop."""

    def __init__(self, client: DockerClient, project: str, image: str) -> None:
        self.client = client
        self.project = project
        self.names = [*STORAGE]
        """The storage nodes."""
        self._ports = {7000: free_port(), 7080: free_port(), 7200: free_port()}
        self._settings = {"COMPOSE_PROJECT_NAME": project, "DSTK_IMAGE": image}
        self._settings |= {"DSTK_PORT": str(self._ports[7000]), "DSTK_GATEWAY_STATUS_PORT": str(self._ports[7080])}
        self._settings |= {"DSTK_CONSOLE_PORT": str(self._ports[7200])}
        self._directory = Path(tempfile.mkdtemp(prefix=f"{project}-"))
        self._past_logs: dict[str, str] = {}
        self._cuts = Cuts(client, project, self._ip_of)

    async def __aenter__(self) -> Self:
        """Starts everything that docker-compose.yml starts, and waits until it is healthy."""
        try:
            await self.up()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes everything, volumes included; what is thrown away need not end in order."""
        await self._run("--profile", "*", "kill")
        await self.down(volumes=True)
        shutil.rmtree(self._directory)

    async def up(self, *services: str) -> None:
        """Starts these services and what they need, by default all, and waits until they are healthy."""
        await _apart(self._compose(*services).start)

    async def upgrade(self, service: str, image: str) -> None:
        """Stops one service in order and recreates it from another image; waits until it is healthy."""
        self._past_logs[service] = self.log(service)
        self._settings["DSTK_IMAGE"] = image
        await self.launch(service)
        await self.healthy(service)

    async def launch(self, service: str) -> None:
        """Starts one service alone and waits for nothing."""
        await self._run("up", "--detach", "--no-deps", "--no-build", service)

    async def down(self, *, volumes: bool = False) -> None:
        """Stops and removes all containers and the network, by default not the volumes."""
        self._past_logs |= {name: self.log(name) for name in self._found()}
        # a service of a profile belongs to the project only while the profile is active
        try:
            await self._run("--profile", "*", "down", "--remove-orphans", *(["--volumes"] if volumes else []))
        except CalledProcessError:
            if not await _apart(is_phantom_alone, self.client, self.project):
                raise

    async def remove(self, service: str) -> None:
        """Stops one service in order and removes its container, not its volume."""
        await self._run("rm", "--stop", "--force", service)

    async def kill(self, *services: str) -> None:
        """SIGKILL, all at one moment."""
        await asyncio.gather(*(_apart(self._container(service).kill) for service in services))

    async def stop(self, *services: str) -> None:
        """SIGTERM, and waits until they have ended in order: AssertionError when they did not."""
        await asyncio.gather(*(_apart(self._container(service).stop, timeout=60) for service in services))
        for service in services:
            code = self._container(service).attrs["State"]["ExitCode"]
            assert code == 0, f"{service} ended with {code}:\n{self.log(service)[-3000:]}"

    async def start(self, *services: str) -> None:
        """Starts them again and waits until they are healthy."""
        await asyncio.gather(*(_apart(self._container(service).start) for service in services))
        await asyncio.gather(*map(self.healthy, services))

    async def restart(self, *services: str) -> None:
        """A planned restart."""
        await self.stop(*services)
        await self.start(*services)

    async def pause(self, *services: str) -> None:
        """Freezes all their processes."""
        await asyncio.gather(*(_apart(self._container(service).pause) for service in services))

    async def resume(self, *services: str) -> None:
        """Lets them go on."""
        await asyncio.gather(*(_apart(self._container(service).unpause) for service in services))

    async def partition(self, one: Collection[str], other: Collection[str]) -> None:
        """Nothing gets through between the two sides, in either direction."""
        await _apart(self._cuts.add, [*product(one, other), *product(other, one)], self._id_of)

    async def cut(self, source: str, *targets: str) -> None:
        """What the source sends reaches none of the targets; the other direction stays open."""
        await _apart(self._cuts.add, [(source, target) for target in targets], self._id_of)

    async def mend(self) -> None:
        """All cuts end."""
        await _apart(self._cuts.mend)

    async def repair(self) -> None:
        """Whatever a test did or left half done: all cuts end, and everything that was stopped or frozen goes on."""
        await self.mend()
        for service, container in self._found().items():
            if container.status == "paused":
                await self.resume(service)
            elif container.status != "running":
                await _apart(container.start)
        await asyncio.gather(*map(self.healthy, self._found()))

    async def healthy(self, service: str, *, within: float = HEALTHY_SECONDS) -> None:
        """Waits for the health check that compose waits for."""

        def is_healthy() -> bool:
            state = self._container(service).attrs["State"]
            return bool(state["Running"] and state["Health"]["Status"] == "healthy")

        await eventually(is_healthy, within=within)

    async def run(self, service: str, *command: str) -> str:
        """The output of a command in a service's container. Raises AssertionError when it fails."""
        code, output = await self.attempt(service, *command)
        assert code == 0, f"{command} in {service} ended with {code}: {output}"
        return output

    async def attempt(self, service: str, *command: str) -> tuple[int, str]:
        """Its exit code and what it prints."""
        code, output = await _apart(self._container(service).exec_run, list(command))
        return int(code), str(output.decode())

    def address(self, name: str) -> str:
        """host:port of a storage node in the cluster's own network, or of the routers as they are published ("router")."""
        if name == "router":
            return f"127.0.0.1:{self._ports[7000]}"
        return f"{self._ip_of(name)}:7101"

    @cached_property
    def token(self) -> str:
        """Of operators' calls; the containers have made it among themselves."""
        return str(self._container("storage-1").exec_run(["cat", "/run/dstk/admin-token"]).output.decode().strip())

    @property
    def speakers(self) -> list[str]:
        """The services whose logs are ours."""
        return [*self.names, *ROUTERS, METRICS]

    def log(self, name: str) -> str:
        """Everything that the service has logged, over all its lives."""
        found = self._found().get(name)
        return self._past_logs.get(name, "") + (found.logs().decode() if found else "")

    def services(self) -> list[str]:
        """All that have a container, running or not."""
        return sorted(self._found())

    def image_label(self, service: str, label: str) -> str:
        """Of the image that a service runs."""
        return str(self._container(service).image.labels[label])

    def memory(self, service: str) -> int:
        """Bytes that the service takes, as its limit counts them; what the kernel caches of files and can drop is left out."""
        stats = self._container(service).stats(stream=False)["memory_stats"]
        return int(stats["usage"] - stats["stats"].get("inactive_file", 0))

    def _compose(self, *services: str) -> DockerCompose:
        own = self._directory / "settings.env"
        own.write_text("".join(f"{name}={value}\n" for name, value in self._settings.items()))
        return DockerCompose(ROOT, env_file=[str(ROOT / ".env"), str(own)], services=list(services), wait=True)

    async def _run(self, *arguments: str) -> None:
        compose = self._compose()
        await _apart(compose._run_command, [*compose.compose_command_property, *arguments])  # noqa: SLF001 - no public way

    def _found(self) -> Mapping[str, Container]:
        """By service; those that have ended too."""
        found = self.client.containers.list(
            all=True, ignore_removed=True, filters={"label": f"{PROJECT_LABEL}={self.project}"}
        )
        service = "com.docker.compose.service"
        return {each.labels[service]: each for each in found if service in each.labels}

    def _container(self, service: str) -> Container:
        """As it is now."""
        found = self._found()
        assert service in found, f"there is no container of {service}, but of {', '.join(sorted(found))}"
        return found[service]

    def _id_of(self, service: str) -> str:
        return str(self._container(service).id)

    def _ip_of(self, name: str) -> str:
        network = self._container(name if name != CLIENTS else "etcd-1").attrs["NetworkSettings"]["Networks"]
        return str(next(iter(network.values()))["IPAddress" if name != CLIENTS else "Gateway"])


async def _apart(call: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """On a thread, so that the load goes on."""
    return await asyncio.to_thread(call, *arguments, **options)
