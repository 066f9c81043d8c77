"""Trials of the burn rates of error budgets. Clients' mistakes must not fire them, nor must the refusals of nodes."""

from collections.abc import Mapping, Sequence

from dstk_observability.objectives import AVAILABILITY, FAST
from dstk_observability.trials.kinds import Change, Trial, grows, on, takes
from dstk_telemetry.registry.rpc import EXECUTE_SECONDS, OPERATIONS

BUDGET, SLOW_BUDGET = 1 - AVAILABILITY, 1 - FAST
STEPS = {"BurnsFast": (14.4, 60, 60), "Burns": (6, 300, 72), "BurnsSlowly": (1, 3600, 72)}
"""The factor, the seconds of a step, and how many steps are quiet: as long as the long window."""
FAILED_AFTER = {"BurnsFast": 1, "Burns": 0, "BurnsSlowly": 0}
SLOW_AFTER = {"BurnsFast": 8, "Burns": 4, "BurnsSlowly": 0}
"""In how many steps enough of the long window is bad."""


def _failing(share: float) -> Sequence[Change]:
    """Of the 100 operations of each kind that succeed in a second, so many fail too."""
    return [
        grows(OPERATIONS, 100 * share, outcome="server"),
        grows(OPERATIONS, 100 * share, outcome="refused", job="router"),
    ]


def _availability(factor: float, step: int, quiet: int, after: int) -> Trial:
    mistakes = [
        grows(OPERATIONS, 500, outcome="client"),
        grows(OPERATIONS, 50, outcome="refused", job="storage"),
    ]
    drowned = [grows(OPERATIONS, 100, outcome="client"), *_failing(BUDGET * factor * 0.4)]
    few = [grows(OPERATIONS, 0, outcome="ok"), grows(OPERATIONS, 1e-6, outcome="server")]
    return Trial(
        [grows(OPERATIONS, 50, outcome="server"), grows(OPERATIONS, 500, outcome="client")],
        [on(job="storage"), on(job="router")],
        [mistakes, drowned, few],
        after=after,
        step=step,
        quiet=quiet,
    )


def _latency(after: int, step: int, quiet: int) -> Trial:
    return Trial(
        [takes(EXECUTE_SECONDS, 0.2)],
        [on(job="storage"), on(job="router")],
        [[takes(EXECUTE_SECONDS, 0.05)]],
        after=after,
        step=step,
        quiet=quiet,
    )


TRIALS: Mapping[str, Trial] = {
    **{f"DstkAvailabilityBudget{name}": _availability(*steps, FAILED_AFTER[name]) for name, steps in STEPS.items()},
    **{f"DstkLatencyBudget{name}": _latency(SLOW_AFTER[name], step, quiet) for name, (_, step, quiet) in STEPS.items()},
}
