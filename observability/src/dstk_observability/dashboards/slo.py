"""The service level objectives: is what was promised kept, and how fast is the error budget used up?"""

from dstk_observability.alerts import objectives
from dstk_observability.alerts.objectives import Objective
from dstk_observability.dashboards.model import Dashboard, Variable, row
from dstk_observability.dashboards.panels import graph, query, stat
from dstk_observability.dashboards.scopes import Scope
from dstk_observability.dashboards.thresholds import above, below
from dstk_observability.dashboards.units import Unit
from dstk_observability.objectives import AVAILABILITY, BURN_RATES, FAST, FAST_SECONDS, PERIOD_DAYS
from dstk_observability.promql import AUTOMATIC, Expr, number, one_of
from dstk_telemetry.registry import rpc

PERIOD = f"{PERIOD_DAYS}d"


def failing(window: str) -> Expr:
    """The share of operations through routers that failed in the window. NaN: there were none."""
    at = Scope(window, job="router")
    failed = at.rate(rpc.OPERATIONS, outcome=one_of("refused", "server")).sum_by()
    return failed / at.rate(rpc.OPERATIONS, outcome=one_of("ok", "refused", "server")).sum_by()


def slow(window: str) -> Expr:
    """The share of Execute messages through routers that took longer than promised in the window. NaN: there were none."""
    return Scope(window, job="router").share_above(FAST_SECONDS, rpc.EXECUTE_SECONDS)


def budget(bad: Expr, objective: float) -> Expr:
    """The share of the error budget that is left."""
    return number(1) - bad / (1 - objective)


def burn(objective: Objective, window: str) -> Expr:
    """How many times faster than allowed the error budget is used up in the window, by kind of service."""
    record = objective.record(window)
    return Expr(f'{record.name}{{cluster=~"${Variable.CLUSTER}"}}', record.expr.families) / objective.budget


AVAILABLE = stat(
    f"Succeeded in {PERIOD_DAYS} days",
    "Share of operations through the routers that did not fail. Mistakes of callers do not count.",
    Unit.SHARE,
    below(AVAILABILITY, "the objective is missed.", yellow=AVAILABILITY + (1 - AVAILABILITY) / 2),
    query(number(1) - failing(PERIOD), "succeeded"),
    width=6,
)
AVAILABLE_BUDGET = stat(
    "Error budget left: availability",
    f"Of the failures that {AVAILABILITY:.1%} allows in {PERIOD_DAYS} days.",
    Unit.SHARE,
    below(0.0001, "it is used up: stop risky changes.", yellow=0.25),
    query(budget(failing(PERIOD), AVAILABILITY), "left"),
    width=6,
)
FAST_ENOUGH = stat(
    f"Fast enough in {PERIOD_DAYS} days",
    f"Share of Execute messages through the routers answered within {FAST_SECONDS * 1000:.0f} ms.",
    Unit.SHARE,
    below(FAST, "the objective is missed.", yellow=FAST + (1 - FAST) / 2),
    query(number(1) - slow(PERIOD), "fast enough"),
    width=6,
)
FAST_BUDGET = stat(
    "Error budget left: latency",
    f"Of the slow answers that {FAST:.0%} allows in {PERIOD_DAYS} days.",
    Unit.SHARE,
    below(0.0001, "it is used up: stop risky changes.", yellow=0.25),
    query(budget(slow(PERIOD), FAST), "left"),
    width=6,
)
_FASTEST, _SLOWEST = max(BURN_RATES.values()), min(BURN_RATES.values())
AVAILABLE_BURN = graph(
    "Burn rate: availability",
    "How many times faster than allowed the error budget is used up, over the windows of the alerts.",
    Unit.COUNT,
    above(_FASTEST, "the budget of a month is gone in two days: an alert fires.", yellow=_SLOWEST),
    *(query(burn(objectives.AVAILABILITY, window), f"{{{{job}}}} {window}") for window in BURN_RATES),
    width=12,
)
FAST_BURN = graph(
    "Burn rate: latency",
    "How many times faster than allowed the error budget is used up, over the windows of the alerts.",
    Unit.COUNT,
    above(_FASTEST, "the budget of a month is gone in two days: an alert fires.", yellow=_SLOWEST),
    *(query(burn(objectives.LATENCY, window), f"{{{{job}}}} {window}") for window in BURN_RATES),
    width=12,
)
FAILING_NOW = graph(
    "Share that fails",
    "Of the operations through routers.",
    Unit.SHARE,
    above(_FASTEST * (1 - AVAILABILITY), "the budget of a month is gone in two days.", yellow=1 - AVAILABILITY),
    query(failing(AUTOMATIC), "failing"),
)
SLOW_NOW = graph(
    "Share that is slow",
    f"Execute messages through routers that took longer than {FAST_SECONDS * 1000:.0f} ms.",
    Unit.SHARE,
    above(_FASTEST * (1 - FAST), "the budget of a month is gone in two days.", yellow=1 - FAST),
    query(slow(AUTOMATIC), "slow"),
)
TRAFFIC = graph(
    "Operations that count",
    "Operations through routers, without those that their callers made fail. With few of them, shares jump.",
    Unit.PER_SECOND,
    below(0.1, "there is too little traffic to judge."),
    query(
        Scope(job="router").rate(rpc.OPERATIONS, outcome=one_of("ok", "refused", "server")).sum_by("outcome"),
        "{{outcome}}",
    ),
    stacked=True,
)

DASHBOARD = Dashboard(
    "dstk-slo",
    "Objectives",
    "Is what was promised kept, how much of the error budget is left, and how fast is it used up?",
    (Variable.CLUSTER,),
    (
        row("The last month", AVAILABLE, AVAILABLE_BUDGET, FAST_ENOUGH, FAST_BUDGET),
        row("Burn rates", AVAILABLE_BURN, FAST_BURN),
        row("Now", FAILING_NOW, SLOW_NOW, TRAFFIC),
    ),
)
