"""Links from dashboards to dashboards, to logs and to traces. They keep the time range and the selected cluster."""

import json
from collections.abc import Sequence
from urllib.parse import quote

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import DashboardLink as Link
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

from dstk_observability.dashboards.model import Panel, Query, Variable
from dstk_observability.dashboards.sources import JAEGER, TYPES
from dstk_telemetry.registry.kinds import Owner

TAG = "dstk"
"""What Grafana finds our dashboards by."""

NODE, PARTITION, LOGS = "dstk-node", "dstk-partition", "dstk-logs"
"""The uids of the dashboards that series link to."""
WITHOUT_ID = (Owner.ROUTER, Owner.METRICS)
"""Services whose log lines name a process by the address at which it listens, which no label has."""
_CARRIED = f"var-cluster=${Variable.CLUSTER}&${{__url_time_range}}"


def of_dashboard() -> list[Builder[Link]]:
    """The links at the top of every dashboard: the others, and a search for traces."""
    others = DashboardLink("DSTK").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(as_dropdown=True)
    traces = (
        DashboardLink("Traces")
        .type(DashboardLinkType.LINK)
        .url(_traces_url())
        .icon("gf-traces")
        .target_blank(target_blank=True)
    )
    return [each.keep_time(keep_time=True).include_vars(include_vars=True) for each in (others, traces)]


def of_series(panel: Panel) -> list[Builder[Link]]:
    """What a click on a series offers, by the labels in its legend."""
    queries = [query for query in panel.queries if isinstance(query, Query)]
    legends = "".join(query.legend for query in queries)
    found: list[Builder[Link]] = []
    if "{{instance}}" in legends:
        found += _of_service(service) if (service := _service(queries)) else _of_node("instance")
    if "{{peer}}" in legends:
        found += _of_node("peer")
    if "{{partition}}" in legends:
        found += _of_partition()
    return found


def _of_node(label: str) -> list[Builder[Link]]:
    node = f"${{__field.labels.{label}}}"
    return [_link(f"Storage node {node}", NODE, "node", label), _link(f"Logs of {node}", LOGS, "node", label)]


def _service(queries: Sequence[Query]) -> Owner | None:
    """The service without ids of which all the series are, if they are of one."""
    texts = [query.expression.text for query in queries]
    return next((each for each in WITHOUT_ID if all(f'job="{each}"' in text for text in texts)), None)


def _of_service(service: Owner) -> list[Builder[Link]]:
    return [DashboardLink(f"Logs of service {service}").url(f"/d/{LOGS}?var-service={service}&{_CARRIED}")]


def _of_partition() -> list[Builder[Link]]:
    title = "partition ${__field.labels.partition}"
    return [
        _link(f"Traffic of {title}", PARTITION, "partition", "partition"),
        _link(f"Logs of {title}", LOGS, "partition", "partition"),
    ]


def _link(title: str, uid: str, variable: str, label: str) -> DashboardLink:
    return DashboardLink(title).url(f"/d/{uid}?var-{variable}=${{__field.labels.{label}}}&{_CARRIED}")


def _traces_url() -> str:
    """Grafana's Explore with a search for the storage nodes' traces."""
    source = {"type": TYPES[JAEGER], "uid": JAEGER}
    search = {"refId": "A", "datasource": source, "queryType": "search", "service": "dstk-storage"}
    pane = {"dstk": {"datasource": JAEGER, "queries": [search], "range": {"from": "now-1h", "to": "now"}}}
    return f"/explore?schemaVersion=1&panes={quote(json.dumps(pane, separators=(',', ':')))}"
