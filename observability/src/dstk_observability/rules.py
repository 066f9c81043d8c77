"""Prometheus' rules, as YAML."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dstk_observability.alerts import GROUPS
from dstk_observability.alerts.kinds import Alert, Group, Record
from dstk_observability.documents import as_yaml
from dstk_observability.promql import Expr

RUNBOOKS = "docs/runbooks"
"""Where the pages are: a folder of the repository, or the address under which it is published."""
_RANGE = re.compile(r"(?<=\[)(\d+[smhd])(?=\])|(?<=offset )(\d+[smhd])\b")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast rules react. Tests on live clusters divide each window and each `for` by `divisor`, down to `least` seconds."""

    divisor: float = 1
    least: int = 1

    def duration(self, text: str) -> str:
        """A duration at this pace."""
        if self.divisor == 1:
            return text
        return f"{max(self.least, round(seconds(text) / self.divisor))}s"

    def expression(self, expr: Expr) -> str:
        """An expression with its windows at this pace."""
        return _RANGE.sub(lambda found: self.duration(found[0]), expr.text)


PRODUCTION = Pace()


def seconds(duration: str) -> int:
    """The seconds of a duration such as 5m."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def rules(groups: Iterable[Group] = GROUPS, pace: Pace = PRODUCTION) -> str:
    """The file of rules."""
    content = {"groups": [_group(group, pace) for group in groups]}
    return as_yaml(content)


def _group(group: Group, pace: Pace) -> dict[str, Any]:
    records = [_record(record, pace) for record in group.records]
    return {"name": f"dstk-{group.area}", "rules": records + [_alert(group, alert, pace) for alert in group.alerts]}


def _record(record: Record, pace: Pace) -> dict[str, Any]:
    return {"record": record.name, "expr": pace.expression(record.expr)}


def _alert(group: Group, alert: Alert, pace: Pace) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": pace.expression(alert.expr),
        "for": pace.duration(alert.hold),
        "labels": {"severity": str(alert.severity), "area": group.area},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{RUNBOOKS}/{alert.name}.md",
        },
    }
