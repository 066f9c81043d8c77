"""The files that are generated: each is a path in the repository and the function that returns its text."""

from collections.abc import Callable, Iterator
from pathlib import Path

from dstk_observability import alertmanager, prometheus, rules, runbooks
from dstk_observability.dashboards import artifacts as dashboards
from dstk_observability.elk import files as elk_files
from dstk_telemetry.registry.page import metrics_page

Render = Callable[[], str]

ARTIFACTS: dict[str, Render] = {
    "observability/prometheus/prometheus.yml": prometheus.configuration,
    **prometheus.TARGETS,
    **elk_files.FILES,
    "observability/prometheus/rules/dstk.yml": rules.rules,
    "observability/alertmanager/alertmanager.yml": alertmanager.configuration,
    "docs/runbooks/README.md": runbooks.index,
    "docs/metrics.md": metrics_page,
    **dashboards.ARTIFACTS,
}
"""Add a file here: its path, and what renders it."""


def generate(root: Path) -> None:
    """Writes all files below `root`, the repository. Raises OSError."""
    for path, render in ARTIFACTS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(render())


def stale(root: Path) -> Iterator[str]:
    """Yields the paths of the files below `root` that differ from what would be generated, or are missing."""
    for path, render in ARTIFACTS.items():
        file = root / path
        if not file.is_file() or file.read_text() != render():
            yield path
