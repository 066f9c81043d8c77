"""docs/dashboards/README.md: what each dashboard is for, its picture, and what its panels show."""

from collections.abc import Iterator

from dstk_observability.dashboards import DASHBOARDS
from dstk_observability.dashboards.model import Dashboard, Panel
from dstk_observability.documents import NOTICE

HEAD = f"""\
<!-- {NOTICE} -->
# Dashboards

`make up-full` starts the compose stack with Grafana, Prometheus, Alertmanager and Jaeger, and prints Grafana's address: the
overview opens first. Other installations import [`observability/grafana`](../../observability/grafana): data sources, and one
file for each dashboard.

All dashboards link to each other and to traces, and keep the time range and the cluster. A click on a series leads to its
node or partition, and to the logs of either. A dot on a graph of latencies (an exemplar) leads to the trace of one call.
Every panel's description says what it shows and why its colours change where they do.

The pictures show a real cluster under steady traffic, as a real Prometheus scraped it: a quiet time, and then faults, which
are shaded and numbered. `make pictures` draws them from the files that Grafana loads; Grafana itself draws more finely. `make
observe` asks every query of every panel on such a cluster, in the quiet and in each fault.

| dashboard | answers |
| --- | --- |
"""


def render() -> str:
    """The page."""
    table = "".join(f"| [{each.title}](#{_anchor(each.title)}) | {each.purpose} |\n" for each in DASHBOARDS)
    return HEAD + table + "".join(map(_section, DASHBOARDS))


def _section(dashboard: Dashboard) -> str:
    name = dashboard.uid.removeprefix("dstk-")
    rows = "".join(_rows(dashboard))
    picture = f"![{dashboard.title}]({name}.png)\n\n"
    return f"\n## {dashboard.title}\n{dashboard.purpose}\n\n{picture}| panel | shows |\n| --- | --- |\n{rows}"


def _rows(dashboard: Dashboard) -> Iterator[str]:
    for panel in dashboard.panels:
        yield f"| {panel.title} | {_cell(panel)} |\n"


def _cell(panel: Panel) -> str:
    empty = f" Empty until {panel.fills}." if panel.fills else ""
    return f"{panel.text}{empty}".replace("|", "\\|")


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")
