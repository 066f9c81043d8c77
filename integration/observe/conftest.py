"""The story is played once: its tests are one group of pytest-xdist, which one process runs."""

import asyncio
from collections.abc import Iterator

import pytest

from observe.asked import Asked
from observe.story import told


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """The story, with its Prometheus."""
    with asyncio.Runner() as runner:
        telling = told(tmp_path_factory.mktemp("story"))
        story = runner.run(telling.__aenter__())
        try:
            yield Asked(story, runner)
        finally:
            runner.run(telling.__aexit__(None, None, None))
