"""All nodes are restarted in order, one after another."""

from faults.measuring import judging
from faults.measuring.bed import cluster_of, several_partitions
from faults.measuring.model import Measured, Settings, Tell
from faults.stage import Hands, Stage, on_stage

NAME = "restarts"


async def measure(settings: Settings, tell: Tell) -> Measured:
    """The next node follows when everything is in sync again."""
    async with cluster_of(settings, **several_partitions(3)) as hands:
        async with on_stage(hands, NAME) as stage:
            calm = await judging.calm_span(stage)
            spans = [await _restart(hands, stage, number, tell) for number in range(len(hands.cluster.names))]
        seconds = [judging.pause_in(stage.load, span) for span in spans]
        pauses = judging.pauses(seconds, judging.pause_in(stage.load, calm))
        figures = [judging.failed(stage.load.attempts), await judging.lost([stage]), *pauses]
        return Measured(NAME, figures, seconds, judging.too_little(stage.load), judging.remarks(stage))


async def _restart(hands: Hands, stage: Stage, number: int, tell: Tell) -> slice:
    name, mark = hands.cluster.names[number], len(stage.load.attempts)
    tell(number / len(hands.cluster.names), f"restarting {name}")
    await hands.cluster.restart(name)
    await hands.operator.healed()
    await stage.calls_are_answered()
    return slice(mark, len(stage.load.attempts))
