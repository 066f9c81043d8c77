"""Queries of log lines in Grafana's own types."""

from grafana_foundation_sdk.builders import elasticsearch
from grafana_foundation_sdk.models.elasticsearch import TermsOrder

from dstk_observability.dashboards import log_fields
from dstk_observability.dashboards.model import LogQuery

Builder = elasticsearch.Dataquery
MOST_LINES = "500"
MOST_VALUES = "10"


def build(query: LogQuery, reference: str) -> Builder:
    """Lines, newest first, or their number over time for each value of a field."""
    target = elasticsearch.Dataquery().query(query.lucene).ref_id(reference).time_field(log_fields.TIME)
    if not query.split:
        settings = elasticsearch.ElasticsearchLogsSettings().limit(MOST_LINES)
        return target.metrics([elasticsearch.Logs().id("1").settings(settings)]).bucket_aggs([])
    values = (
        elasticsearch.ElasticsearchTermsSettings()
        .order(TermsOrder.DESC)
        .order_by("_count")
        .size(MOST_VALUES)
        .min_doc_count("1")
    )
    times = elasticsearch.ElasticsearchDateHistogramSettings().interval("auto").min_doc_count("0")
    return (
        target.metrics([elasticsearch.Count().id("1")])
        .bucket_aggs(
            [
                elasticsearch.Terms().id("2").field(query.split).settings(values),
                elasticsearch.DateHistogram().id("3").field(log_fields.TIME).settings(times),
            ]
        )
        .alias(query.legend)
    )
