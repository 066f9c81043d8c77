"""Keeps the container suite, which needs Docker and minutes, out of a plain `pytest`, and says so."""

from pathlib import Path

import pytest

CONTAINERS = Path(__file__).parent / "containers"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path == CONTAINERS and not _asked_for(config) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not _asked_for(config):
        terminalreporter.write_line("the container suite was not run: `make integration` runs it, and needs Docker")


def _asked_for(config: pytest.Config) -> bool:
    given = (config.invocation_params.dir / argument.partition("::")[0] for argument in config.args)
    return any(path.resolve().is_relative_to(CONTAINERS) for path in given)
