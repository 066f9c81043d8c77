"""Where dashboards read from. Provisioning gives each data source the uid by which panels name it."""

from typing import Final

PROMETHEUS: Final = "dstk-prometheus"
ELASTICSEARCH: Final = "dstk-elasticsearch"
JAEGER: Final = "dstk-jaeger"

TYPES: Final = {PROMETHEUS: "prometheus", ELASTICSEARCH: "elasticsearch", JAEGER: "jaeger"}
"""Grafana's plugin for each."""
