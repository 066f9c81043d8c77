"""All nodes are restarted in order, one after another."""

from faults.measuring import judging
from faults.measuring.bed import cluster_of, several_partitions
from faults.measuring.model import Measured, Settings, Tell
from faults.scenario import Access, Scenario, scenario_on

NAME = "restarts"


async def measure(settings: Settings, tell: Tell) -> Measured:
    """The next node follows when everything is in sync again."""
    async with cluster_of(settings, **several_partitions(3)) as access:
        async with scenario_on(access, NAME) as scenario:
            calm = await judging.calm_span(scenario)
            spans = [await _restart(access, scenario, number, tell) for number in range(len(access.cluster.names))]
        seconds = [judging.pause_in(scenario.load, span) for span in spans]
        pauses = judging.pauses(seconds, judging.pause_in(scenario.load, calm))
        figures = [judging.failed(scenario.load.attempts), await judging.lost([scenario]), *pauses]
        return Measured(NAME, figures, seconds, judging.too_little(scenario.load), judging.remarks(scenario))


async def _restart(access: Access, scenario: Scenario, number: int, tell: Tell) -> slice:
    name, mark = access.cluster.names[number], len(scenario.load.attempts)
    tell(number / len(access.cluster.names), f"restarting {name}")
    await access.cluster.restart(name)
    await access.operator.healed()
    await scenario.calls_are_answered()
    return slice(mark, len(scenario.load.attempts))
