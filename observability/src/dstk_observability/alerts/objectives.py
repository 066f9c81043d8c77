"""Service level objectives, and how fast their error budgets burn: multi-window alerts, as in Google's SRE workbook.

A budget burns at rate 1 if it lasts for exactly 30 days. The long window says that enough of it is gone to matter, and the
short one that it still burns. What callers cause counts neither as good nor as bad: a broken client must not raise the alarm,
nor drown it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dstk_observability.alerts.kinds import Alert, Group, Record, Severity
from dstk_observability.objectives import AVAILABILITY as AVAILABLE
from dstk_observability.objectives import BURN_RATES, FAST, FAST_SECONDS
from dstk_observability.promql import Expr, Not, count_rate, one_of, rate, share_above
from dstk_telemetry.registry.kinds import Owner
from dstk_telemetry.registry.rpc import EXECUTE_SECONDS, OPERATIONS

WINDOWS = {"5m": 300, "30m": 1800, "1h": 3600, "6h": 21600, "3d": 259200}
"""The windows over which shares are recorded, and their seconds."""
MIN_EVENTS = 100
"""With fewer events in the long window no alert fires: one failure would be more than a percent of them."""


@dataclass(frozen=True, slots=True)
class Objective:
    """`target`: the share of events that should be good. `bad`: the share of bad ones by job; `events`: all, a second."""

    name: str
    target: float
    what: str
    bad: Callable[[str], Expr]
    events: Callable[[str], Expr]

    @property
    def budget(self) -> float:
        """The share of events that may be bad."""
        return round(1 - self.target, 9)

    def record(self, window: str) -> Record:
        """The share of bad events in a window."""
        return Record(f"job:dstk_{self.name.lower()}_errors:ratio_rate{window}", self.bad(window))


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast a budget burns at least, over a long and a short window, and what that means."""

    name: str
    severity: Severity
    factor: float
    long: str
    short: str
    hold: str
    spent: str


BURNS = (
    Burn(
        "BurnsFast", Severity.PAGE, BURN_RATES["1h"], "1h", "5m", "2m", "2% of the month's budget went within an hour"
    ),
    Burn(
        "Burns", Severity.PAGE, BURN_RATES["6h"], "6h", "30m", "15m", "5% of the month's budget went within six hours"
    ),
    Burn("BurnsSlowly", Severity.TICKET, 1, "3d", "6h", "1h", "10% of the month's budget went within three days"),
)


def _unanswered(window: str) -> Expr:
    """At a router a refusal reaches the caller; a node's refusals are redirects, which clients follow."""
    at_routers = rate(OPERATIONS, window, job=Owner.ROUTER, outcome=one_of("refused", "server"))
    at_nodes = rate(OPERATIONS, window, job=Owner.STORAGE, outcome="server")
    return at_routers.or_(at_nodes).sum_by("cluster", "job")


def _operations(window: str) -> Expr:
    return rate(OPERATIONS, window, outcome=Not("client")).sum_by("cluster", "job")


AVAILABILITY = Objective(
    "Availability",
    AVAILABLE,
    "operations fail or are refused",
    lambda window: _unanswered(window) / _operations(window),
    _operations,
)
LATENCY = Objective(
    "Latency",
    FAST,
    f"Execute messages take longer than {FAST_SECONDS:g} s",
    lambda window: share_above(FAST_SECONDS, EXECUTE_SECONDS, window, "cluster", "job"),
    lambda window: count_rate(EXECUTE_SECONDS, window).sum_by("cluster", "job"),
)
OBJECTIVES = (AVAILABILITY, LATENCY)


def _alert(objective: Objective, burn: Burn) -> Alert:
    bound = round(objective.budget * burn.factor, 9)
    long, short = objective.record(burn.long).recorded, objective.record(burn.short).recorded
    enough = (objective.events(burn.long) * WINDOWS[burn.long]).above(MIN_EVENTS)
    return Alert(
        f"Dstk{objective.name}Budget{burn.name}",
        burn.severity,
        burn.hold,
        long.above(bound).and_(short.above(bound)).and_(enough),
        f"{{{{ $value | humanizePercentage }}}} of {objective.what} ({{{{ $labels.job }}}})",
        f"The objective of the {{{{ $labels.job }}}} services is that at most {objective.budget:.1%} do; {burn.spent}.",
    )


GROUP = Group(
    "objectives",
    "Service level objectives",
    [_alert(objective, burn) for objective in OBJECTIVES for burn in BURNS],
    [objective.record(window) for objective in OBJECTIVES for window in WINDOWS],
)
