"""What a person does: make up, the dstk command on this machine, make down, make up again, make wipe."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.client import DockerClient
from kit.metrics_calls import metrics_at, rows
from kit.ports import free_port

from containers.docker import ROOT, orphaned_ranges
from dstk_service.testing import eventually

DSTK = Path(sys.executable).with_name("dstk")


class Person:
    """Types commands, with what `make up` said in the environment."""

    def __init__(self, project: str, image: str, directory: Path) -> None:
        self.token = directory / "admin-token"
        self._environment = os.environ | {
            "COMPOSE_PROJECT_NAME": project,
            "DSTK_IMAGE": image,
            "DSTK_PORT": str(free_port()),
            "DSTK_GATEWAY_STATUS_PORT": str(free_port()),
            "DSTK_CONSOLE_PORT": str(free_port()),
            "DSTK_ADMIN_TOKEN_FILE": str(self.token),
        }
        self.console = f"http://127.0.0.1:{self._environment['DSTK_CONSOLE_PORT']}"
        self.router = f"127.0.0.1:{self._environment['DSTK_PORT']}"

    def make(self, target: str) -> str:
        """What it prints; it must succeed."""
        return self._run("make", target)

    def dstk(self, *arguments: str) -> str:
        """Likewise."""
        return self._run(str(DSTK), *arguments, DSTK_ROUTER=self.router)

    def _run(self, *argv: str, **variables: str) -> str:
        done = subprocess.run(
            argv, cwd=ROOT, env=self._environment | variables, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def asked(url: str) -> bytes:
    """What the console answers."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return bytes(answer.read())


async def counts(router: str, records: int) -> None:
    """Waits until the metrics service, through the routers, has counted so many records."""
    async with metrics_at(router) as metrics:

        async def are_all() -> bool:
            return sum(row.records for row in await rows(metrics)) == records

        await eventually(are_all)


@pytest.fixture
def person(engine: DockerClient, session: str, tmp_path: Path) -> Iterator[Person]:
    project, image = f"{session}-person", f"{session}:person"  # which `make up` builds
    made = Person(project, image, tmp_path)
    yield made
    made.make("wipe")
    engine.images.remove(image)
    assert not list(orphaned_ranges(engine, project))


def test_the_commands_of_the_readme_work_from_this_machine(person: Person, tmp_path: Path) -> None:
    said = person.make("up")
    assert f"export DSTK_ROUTER={person.router} DSTK_ADMIN_TOKEN_FILE={person.token}" in said
    assert person.token.stat().st_mode & 0o777 == 0o600
    assert person.console in said
    assert person.router in person.make("ps")

    person.dstk("put", "hello", "world")
    cities = tmp_path / "cities.csv"
    cities.write_text("id,name\n" + "".join(f"{number},city {number}\n" for number in range(1000)))
    person.dstk("load", str(cities), "--key", "id:int", "--key-prefix", "city")
    person.dstk("load", str(cities), "--key", "id:int", "--key-prefix", "direct", "--direct")
    assert "no problems found" in person.dstk("doctor")
    for node in ("storage-1", "storage-2", "storage-3"):
        assert node in person.dstk("nodes")
    person.dstk("partitions")
    asyncio.run(counts(person.router, 2 * 1000 + 1))
    assert b"<html" in asked(person.console)
    seen = json.loads(asked(f"{person.console}/api/cluster"))
    assert len(seen["nodes"]) == 3, "the console has the token for calls of Admin"

    person.make("down")
    person.make("up")
    assert "world" in person.dstk("get", "hello")
    assert len(person.dstk("scan", "--output", "json").splitlines()) == 1 + 2 * 1000
