"""One cluster for the session, which every test leaves healthy, and fresh ones; nothing may be left of any of them."""

import asyncio
import os
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docker.client import DockerClient

from containers.cluster import ContainerCluster
from containers.docker import ROOT, TOOLS_IMAGE, NoDocker, build, connect, orphaned_ranges

FAILED = pytest.StashKey[bool]()

Reporting = Generator[None, pytest.TestReport, pytest.TestReport]


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    """The engine; without one the suite fails rather than pass over what it was to show."""
    for variable in [name for name in os.environ if name.startswith(("DSTK_", "COMPOSE_"))]:
        del os.environ[variable]  # they would win over what the suite sets
    try:
        client = connect()
    except NoDocker as error:
        pytest.exit(str(error), returncode=1)
    yield client
    client.close()


@pytest.fixture(scope="session")
def session(engine: DockerClient) -> Iterator[str]:
    """What the names of all projects and images of this run begin with; at the end there must be none of them any more."""
    name = f"dstk-test-{secrets.token_hex(4)}"
    yield name
    left = list(orphaned_ranges(engine, name))
    assert not left, f"left behind: {', '.join(left)}"


@pytest.fixture(scope="session")
def images(engine: DockerClient, session: str) -> Iterator[tuple[str, str]]:
    """The image under test, built of this tree, and the same by another version."""
    build(TOOLS_IMAGE, context=ROOT / "integration" / "containers" / "tools")
    tags = f"{session}:this", f"{session}:next"
    for tag in tags:
        build(tag, version=tag.partition(":")[2])
    yield tags
    for tag in tags:
        engine.images.remove(tag)


@pytest.fixture(scope="session")
def image(images: tuple[str, str]) -> str:
    """The image under test."""
    return images[0]


@pytest.fixture(scope="session")
def _shared(engine: DockerClient, session: str, image: str) -> Iterator[ContainerCluster]:
    with between_loops(ContainerCluster(engine, f"{session}-shared", image)) as made:
        yield made


@pytest.fixture
def cluster(_shared: ContainerCluster, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ContainerCluster]:
    """Three etcd, three storage nodes, two routers: as they come, and put in order again behind a test that failed."""
    yield _shared
    keep_logs(_shared, request.node, tmp_path)
    asyncio.run(_shared.repair())


@pytest.fixture
def fresh(
    engine: DockerClient, session: str, image: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[ContainerCluster]:
    """The same with nothing in it, for tests that take it apart; `up` starts it."""
    made = ContainerCluster(engine, f"{session}-{secrets.token_hex(2)}", image)
    yield made
    keep_logs(made, request.node, tmp_path)
    asyncio.run(made.__aexit__(None, None, None))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes for fixtures how the test went."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


def keep_logs(cluster: ContainerCluster, item: pytest.Item, directory: Path) -> None:
    """Of a test that failed, so that its cause can be found; pytest keeps the directory."""
    if item.stash.get(FAILED, False):
        for service in cluster.services():
            (directory / f"{service}.log").write_text(cluster.log(service))
        print(f"logs of the containers: {directory}")


@contextmanager
def between_loops(cluster: ContainerCluster) -> Iterator[ContainerCluster]:
    """A cluster outlives the event loops of the tests that use it."""
    asyncio.run(cluster.__aenter__())
    try:
        yield cluster
    finally:
        asyncio.run(cluster.__aexit__(None, None, None))
