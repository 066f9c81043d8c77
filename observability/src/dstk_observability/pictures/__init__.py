"""Draws dashboards as pictures where no Grafana runs: the panels that ship, at their places, with series of a Prometheus."""

from dstk_observability.pictures.page import draw as draw
from dstk_observability.pictures.series import Content as Content
from dstk_observability.pictures.series import Entry as Entry
from dstk_observability.pictures.series import Line as Line
from dstk_observability.pictures.series import Mark as Mark
