"""Panels in Grafana's own types: graphs, single values, tables, log lines."""

from collections.abc import Callable, Mapping
from string import ascii_uppercase

from grafana_foundation_sdk.builders import common, logs, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery as PrometheusQuery
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dstk_observability.dashboards import links, log_fields, log_queries
from dstk_observability.dashboards.model import Kind, LogQuery, Panel, Query
from dstk_observability.dashboards.sources import ELASTICSEARCH, PROMETHEUS, TYPES
from dstk_observability.dashboards.thresholds import Thresholds

Builder = timeseries.Panel | stat.Panel | table.Panel | logs.Panel


def build(panel: Panel) -> Builder:
    """The panel, without its id and its place."""
    uid = ELASTICSEARCH if any(isinstance(each, LogQuery) for each in panel.queries) else PROMETHEUS
    builder = (
        _STYLES[panel.kind](panel)
        .title(panel.title)
        .description(panel.text)
        .datasource(models.DataSourceRef(TYPES[uid], uid))
        .span(panel.width)
        .height(panel.height)
        .unit(panel.unit)
        .thresholds(_thresholds(panel.thresholds))
        .mappings(_mappings(panel))
        .no_value(f"none; fills when {panel.fills}" if panel.fills else "no data")
        .data_links(links.of_series(panel))
    )
    for reference, query in zip(ascii_uppercase, panel.queries, strict=False):
        builder = builder.with_target(_target(panel, query, reference))
    return builder


def _graph(panel: Panel) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.TABLE)
        .placement(looks.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
        .calcs(["lastNotNull", "max"])
    )
    builder = (
        timeseries.Panel()
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED))
        .line_width(1)
        .fill_opacity(10)
        .show_points(looks.VisibilityMode.NEVER)
        .span_nulls(span_nulls=False)
        .axis_soft_min(0)
    )
    if panel.stacked:
        return builder.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A")).fill_opacity(40)
    return builder


def _stat(_: Panel) -> stat.Panel:
    return (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
        .color_mode(looks.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(looks.BigValueGraphMode.AREA)
        .text_mode(looks.BigValueTextMode.AUTO)
    )


def _table(_: Panel) -> table.Panel:
    coloured = models.DynamicConfigValue("custom.cellOptions", {"type": "color-background"})
    return (
        table.Panel()
        .show_header(show_header=True)
        .align(looks.FieldTextAlignment.AUTO)
        .with_transformation(models.DataTransformerConfig("organize", options={"excludeByName": {"Time": True}}))
        .override_by_name("Value", [coloured])
    )


def _lines(_: Panel) -> logs.Panel:
    return (
        logs.Panel()
        .show_time(show_time=True)
        .wrap_log_message(wrap_log_message=True)
        .enable_log_details(enable_log_details=True)
        .displayed_fields(list(log_fields.DISPLAYED))
        .sort_order(looks.LogsSortOrder.DESCENDING)
        .dedup_strategy(looks.LogsDedupStrategy.NONE)
    )


_STYLES: Mapping[Kind, Callable[[Panel], Builder]] = {
    Kind.GRAPH: _graph,
    Kind.STAT: _stat,
    Kind.TABLE: _table,
    Kind.LOGS: _lines,
}


def _thresholds(thresholds: Thresholds) -> ThresholdsConfig:
    steps = [models.Threshold(None, thresholds.base), *(models.Threshold(s.value, s.colour) for s in thresholds.steps)]
    return ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _mappings(panel: Panel) -> list[models.ValueMapping]:
    texts = {str(value): models.ValueMappingResult(text=word) for value, word in panel.words.items()}
    return [models.ValueMap(texts)] if texts else []


def _target(panel: Panel, query: Query | LogQuery, reference: str) -> PrometheusQuery | log_queries.Builder:
    if isinstance(query, LogQuery):
        return log_queries.build(query, reference)
    target = PrometheusQuery().expr(query.expression.text).legend_format(query.legend).ref_id(reference)
    if panel.kind is Kind.TABLE:
        return target.instant().format(PromQueryFormat.TABLE)
    # Prometheus keeps exemplars of counters and of histograms: a point on such a graph leads to a trace
    return target.range().exemplar(panel.kind is Kind.GRAPH and "_bucket" in query.expression.text)
