"""The variables at the top of dashboards. Each asks its dashboard's data source for the values of a label or a field."""

import json
from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import QueryVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from dstk_observability.dashboards import log_fields
from dstk_observability.dashboards.model import Dashboard, Variable
from dstk_observability.dashboards.scopes import SERVICES, STORAGE
from dstk_observability.dashboards.sources import ELASTICSEARCH, PROMETHEUS, TYPES
from dstk_observability.promql import Expr, now
from dstk_telemetry.registry import partitions, runtime

SERIES: Mapping[Variable, tuple[Expr, str]] = {
    Variable.CLUSTER: (now(runtime.BUILD), "cluster"),
    Variable.NODE: (SERVICES.now(runtime.BUILD), "instance"),
    Variable.PARTITION: (STORAGE.now(partitions.RECORDS), "partition"),
}
"""Of dashboards of metrics: series, and one of their labels."""

FIELDS: Mapping[Variable, str] = {
    Variable.CLUSTER: log_fields.CLUSTER,
    Variable.SERVICE: log_fields.SERVICE,
    Variable.NODE: log_fields.NODE,
    Variable.PARTITION: log_fields.PARTITION,
}
"""Of dashboards of log lines: a field."""
MOST_VALUES = 1000

NUMBERS = "/^[0-9]+$/"
"""Leaves out the sum of the partitions that have no series of their own."""


def build(dashboard: Dashboard) -> list[Builder[models.VariableModel]]:
    """The variables in Grafana's own types. Of clusters one is selected, of the others any number, at first all."""
    return [_variable(variable, of_logs=dashboard.of_logs) for variable in dashboard.variables]


def _variable(variable: Variable, *, of_logs: bool) -> QueryVariable:
    uid = ELASTICSEARCH if of_logs else PROMETHEUS
    builder = (
        QueryVariable(variable)
        .label(variable.capitalize())
        .datasource(models.DataSourceRef(TYPES[uid], uid))
        .query(_of_field(FIELDS[variable]) if of_logs else _of_label(variable, *SERIES[variable]))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if variable is Variable.CLUSTER:
        return builder
    if variable is Variable.PARTITION:
        builder = builder.regex(NUMBERS)
    everything = models.VariableOption(selected=True, text="All", value="$__all")
    return builder.multi(multi=True).include_all(include_all=True).current(everything)


def _of_label(variable: Variable, series: Expr, label: str) -> dict[str, object]:
    return {"query": f"label_values({series.text}, {label})", "refId": str(variable)}


def _of_field(field: str) -> str:
    return json.dumps({"find": "terms", "field": field, "size": MOST_VALUES})
