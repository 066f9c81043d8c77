"""What Grafana would ask: the panels of the dashboards that ship, as their files have them, with variables filled in."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observe.prometheus_server import Prometheus

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "observability" / "grafana" / "dashboards"
RATE_INTERVAL = "10s"
"""What Grafana makes of $__rate_interval where scrapes are a second apart: at least four of them."""
_QUERY = re.compile(r"label_values\((.*), (\w+)\)")


@dataclass(frozen=True, slots=True)
class Target:
    """A query of a panel: the text as it ships, and the name of its series."""

    text: str
    legend: str

    def filled(self, variables: Mapping[str, str]) -> str:
        """The text that Prometheus gets."""
        text = self.text.replace("$__rate_interval", RATE_INTERVAL)
        return re.sub(r"\$(\w+)", lambda name: variables[name[1]], text)

    def named(self, labels: Mapping[str, str]) -> str:
        """What the legend calls a series."""
        return re.sub(r"{{(\w+)}}", lambda label: labels.get(label[1], ""), self.legend)


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel of a file. `raw`: all of it."""

    dashboard: str
    raw: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Unique in its dashboard."""
        return str(self.raw["title"])

    @property
    def targets(self) -> list[Target]:
        """Its queries of Prometheus; none where it asks Elasticsearch."""
        return [Target(each["expr"], each["legendFormat"]) for each in self.raw.get("targets", ()) if "expr" in each]

    @property
    def log_queries(self) -> list[Mapping[str, Any]]:
        """Its queries of Elasticsearch."""
        return [each for each in self.raw.get("targets", ()) if "bucketAggs" in each]


def files() -> list[dict[str, Any]]:
    """The dashboards that ship, by name."""
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def panels() -> Iterator[Shown]:
    """All panels of all dashboards."""
    for file in files():
        for panel in file["panels"]:
            if panel["type"] != "row":
                yield Shown(file["uid"], panel)


async def variables(prometheus: Prometheus) -> dict[str, str]:
    """The values of each variable, as Grafana finds and writes them: the first cluster, and all processes and partitions."""
    filled: dict[str, str] = {}
    for variable in sorted(_variables(), key=lambda each: bool(each.get("includeAll"))):
        query = _QUERY.fullmatch(variable["query"]["query"])
        assert query is not None, variable
        selector = re.sub(r"\$(\w+)", lambda name: filled[name[1]], query[1])
        found = [value for value in await prometheus.values(query[2], selector) if _kept(variable, value)]
        assert found, f"variable {variable['name']} has no values: {selector}"
        filled[variable["name"]] = f"({'|'.join(found)})" if variable.get("includeAll") else found[0]
    return filled


def _variables() -> list[dict[str, Any]]:
    """Those that ask Prometheus; dashboards share them."""
    every = [each for file in files() for each in file["templating"]["list"]]
    return list({each["name"]: each for each in every if each["datasource"]["type"] == "prometheus"}.values())


def _kept(variable: Mapping[str, Any], value: str) -> bool:
    pattern = str(variable.get("regex", "")).strip("/")
    return not pattern or re.search(pattern, value) is not None
