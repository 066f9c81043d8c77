"""The files of Grafana that are generated."""

from collections.abc import Callable, Mapping
from functools import partial

from dstk_observability.dashboards import DASHBOARDS, index, provisioning
from dstk_observability.dashboards.grafana import render

FOLDER = "observability/grafana"

ARTIFACTS: Mapping[str, Callable[[], str]] = {
    "docs/dashboards/README.md": index.render,
    f"{FOLDER}/provisioning/datasources/dstk.yml": provisioning.data_sources,
    f"{FOLDER}/provisioning/dashboards/dstk.yml": provisioning.providers,
    **{f"{FOLDER}/dashboards/{dashboard.uid}.json": partial(render, dashboard) for dashboard in DASHBOARDS},
}
"""Each path in the repository, and what renders the file's text."""
