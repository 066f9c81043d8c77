"""The files that are generated: each is a path in the repository and the function that returns its text."""

from collections.abc import Callable, Iterator
from pathlib import Path

from dstk_observability import alertmanager, prometheus, rules, runbooks
from dstk_observability.dashboards import artifacts as dashboards
from dstk_observability.elk import files as elk_files
from dstk_telemetry.registry.page import metrics_page

Render = Callable[[], str]

WATCHING: dict[str, Render] = {
    "prometheus/prometheus.yml": prometheus.configuration,
    "prometheus/rules/dstk.yml": rules.rules,
    "alertmanager/alertmanager.yml": alertmanager.configuration,
}
"""What the programs that watch a cluster read, in the compose stack and on a machine without it."""
PACKAGED = "libs/localcluster/src/dstk_localcluster/observability/shipped"
"""Where `dstk local up --observability` finds copies: an installation has no repository."""


def jaeger() -> str:
    """Jaeger's configuration, which is written by hand: nothing in it comes from a registry."""
    return (Path(__file__).parents[2] / "jaeger" / "jaeger.yml").read_text()


ARTIFACTS: dict[str, Render] = {
    **{f"observability/{path}": render for path, render in WATCHING.items()},
    **{f"{PACKAGED}/{path}": render for path, render in WATCHING.items()},
    f"{PACKAGED}/jaeger/jaeger.yml": jaeger,
    **prometheus.TARGETS,
    **elk_files.FILES,
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
