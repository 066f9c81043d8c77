"""The engine: whether it can be used, the images that the suite needs, and what a run may have left behind."""

import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

from docker.client import DockerClient
from docker.errors import DockerException
from dotenv import dotenv_values

ROOT = Path(__file__).parents[2]
TOOLS_IMAGE = "dstk-tools:dev"
PROJECT_LABEL = "com.docker.compose.project"
HOW_TO_GET_IT = "install Docker with Compose v2, or on Debian 12 run as root: integration/offline/setup"


_GIVEN_UP: set[str] = set()
"""Ids of networks that the engine will not remove."""


class NoDocker(Exception):
    """There is no engine, or no Compose."""


class PhantomEndpoint(UserWarning):
    """Docker Engine 20.10 now and then counts an endpoint in a network that no container has, and will not remove it. Nothing
    that a test can do helps, so that such a network does not count as left behind.
    """


def connect() -> DockerClient:
    """The engine's client. Raises NoDocker, saying what to do."""
    try:
        client = DockerClient.from_env(timeout=120)
        client.ping()
        _run("docker", "compose", "version")
    except (DockerException, OSError, subprocess.CalledProcessError) as error:
        raise NoDocker(f"the container suite needs Docker: {HOW_TO_GET_IT} ({error})") from error
    return client


def build(tag: str, *, context: Path = ROOT, version: str = "dev") -> None:
    """An image by the Dockerfile in `context`; `version` is only its label. Raises CalledProcessError."""
    python = str(dotenv_values(ROOT / ".env")["PYTHON_IMAGE"])
    arguments = ("--build-arg", f"PYTHON_IMAGE={python}", "--build-arg", f"VERSION={version}")
    _run("docker", "build", "--quiet", "--tag", tag, *arguments, str(context))


def is_phantom_alone(client: DockerClient, project: str) -> bool:
    """Whether all that is left of a project is a network which no container is in, and the engine still keeps."""
    left = list(orphaned_ranges(client, project))
    networks = client.networks.list(filters={"label": f"{PROJECT_LABEL}={project}"}, greedy=True)
    if len(left) != len(networks) or any(network.attrs["Containers"] for network in networks):
        return False
    for network in networks:
        _GIVEN_UP.add(network.id)
        why = "the engine counts an endpoint that no container has, until it is restarted (moby#43286)"
        warnings.warn(f"{network.name} stays: {why}", PhantomEndpoint, stacklevel=2)
    return bool(networks)


def orphaned_ranges(client: DockerClient, session: str) -> Iterator[str]:
    """What there still is of the projects whose names begin with `session`."""
    for kind, found in (
        ("container", client.containers.list(all=True, ignore_removed=True)),
        ("network", client.networks.list()),
        ("volume", client.volumes.list()),
    ):
        for each in (each for each in found if each.id not in _GIVEN_UP):
            labels = each.labels if kind == "container" else each.attrs.get("Labels") or {}
            if labels.get(PROJECT_LABEL, "").startswith(session):
                yield f"{kind} {each.name}"
    for image in client.images.list():
        yield from (f"image {tag}" for tag in image.tags if tag.startswith(f"{session}"))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)
