"""Turns dashboards into what Grafana loads, with Grafana's own builders, whose types are of the version that is pinned."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import Dashboard as DashboardBuilder
from grafana_foundation_sdk.builders.dashboard import Row as RowBuilder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dstk_observability.dashboards import annotations, drawing, links, variables
from dstk_observability.dashboards.model import Dashboard

REFRESH = "10s"
RANGE = "now-1h"


def render(dashboard: Dashboard) -> str:
    """The dashboard's JSON, with a newline at its end."""
    return JSONEncoder(indent=1, sort_keys=True, ensure_ascii=False).encode(build(dashboard)) + "\n"


def build(dashboard: Dashboard) -> models.Dashboard:
    """The dashboard in Grafana's own types. Ids of rows and panels follow their order."""
    builder = (
        DashboardBuilder(f"DSTK: {dashboard.title}")
        .uid(dashboard.uid)
        .description(dashboard.purpose)
        .tags([links.TAG])
        .refresh(REFRESH)
        .time(RANGE, "now")
        .timezone("browser")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .links(links.of_dashboard())
        .variables(variables.build(dashboard))
    )
    for annotation in annotations.build():
        builder = builder.annotation(annotation)
    numbers: Iterator[int] = iter(range(1, 1000))
    for row in dashboard.rows:
        builder = builder.with_row(RowBuilder(row.title).id(next(numbers)))
        for panel in row.panels:
            builder = builder.with_panel(drawing.build(panel).id(next(numbers)))
    return builder.build()
