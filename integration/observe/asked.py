"""The story, for tests that are no coroutines: hundreds of them ask about it."""

import asyncio
from dataclasses import dataclass

from dstk_observability.dashboards.model import Fault
from observe.prometheus_server import Series
from observe.shown import Shown, Target
from observe.story import Story


@dataclass(frozen=True, slots=True)
class Asked:
    """`runner`: has the event loop that Prometheus can be asked on."""

    story: Story
    runner: asyncio.Runner

    def query(self, target: Target, moment: float) -> list[Series]:
        """The series of a query at a time."""
        return self.runner.run(self.story.prometheus.query(target.filled(self.story.variables), moment))

    def at(self, panel: Shown, moment: float) -> dict[str, list[Series]]:
        """The series of each query of a panel at a time, by legend."""
        return {target.legend: self.query(target, moment) for target in panel.targets}

    def over(self, panel: Shown, fault: Fault | None) -> list[float]:
        """All values of a panel while the fault lasts."""
        begin, end = self.story.moments[fault]
        texts = [target.filled(self.story.variables) for target in panel.targets]
        found = [series for text in texts for series in self.runner.run(self.story.prometheus.over(text, begin, end))]
        return [value for series in found for value in series.numbers]
