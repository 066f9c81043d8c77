"""The engine: whether it can be used, the images that the suite needs, and what a run may have left behind."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from docker.client import DockerClient
from docker.errors import DockerException
from dotenv import dotenv_values

ROOT = Path(__file__).parents[2]
TOOLS_IMAGE = "dstk-tools:dev"
PROJECT_LABEL = "com.docker.compose.project"
HOW_TO_GET_IT = "install Docker with Compose v2, or on Debian 12 run as root: integration/offline/setup"


class NoDocker(Exception):
    """There is no engine, or no Compose."""


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


def leftovers(client: DockerClient, session: str) -> Iterator[str]:
    """What there still is of the projects whose names begin with `session`."""
    for kind, found in (
        ("container", client.containers.list(all=True, ignore_removed=True)),
        ("network", client.networks.list()),
        ("volume", client.volumes.list()),
    ):
        for each in found:
            labels = each.labels if kind == "container" else each.attrs.get("Labels") or {}
            if labels.get(PROJECT_LABEL, "").startswith(session):
                yield f"{kind} {each.name}"
    for image in client.images.list():
        yield from (f"image {tag}" for tag in image.tags if tag.startswith(f"{session}"))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)
