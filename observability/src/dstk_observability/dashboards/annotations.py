"""What every dashboard marks in its graphs: moments that explain what else is seen."""

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from dstk_observability import external
from dstk_observability.alerts.kinds import Severity
from dstk_observability.dashboards.scopes import STORAGE
from dstk_observability.dashboards.sources import PROMETHEUS, TYPES
from dstk_observability.dashboards.thresholds import Colour
from dstk_observability.promql import Expr, now
from dstk_telemetry.registry import replication

EVENTS: dict[str, tuple[Expr, Colour]] = {
    "Failovers": (STORAGE.increase(replication.FAILOVERS).sum_by("instance").above(0), Colour.YELLOW),
    "Alerts that page": (now(external.ALERTS, "", alertstate="firing", severity=Severity.PAGE), Colour.RED),
}
"""By name: the moments at which the expression has series, and the colour of their marks."""


def build() -> list[AnnotationQuery]:
    """The annotations in Grafana's own types."""
    source = DataSourceRef(TYPES[PROMETHEUS], PROMETHEUS)
    return [
        AnnotationQuery().name(name).datasource(source).enable(enable=True).icon_color(colour).expr(expr.text)
        for name, (expr, colour) in EVENTS.items()
    ]
