"""The controller: reads the situation, plans when it has changed, and runs the steps.

Every node runs one; only the leader's acts.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from dstk_cluster.overrides import ADOPTED
from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_service.controller_settings import InvalidSetting
from dstk_service.logs.fields import LogFields
from dstk_service.observe import NULL, Observer
from dstk_storage.domain.controller.action_history import expired
from dstk_storage.domain.controller.model import ActionRecord, Finding, Plan, Situation, Step
from dstk_storage.domain.controller.plan_basis import PlanBasis
from dstk_storage.domain.controller.planner import make_plan
from dstk_storage.domain.controller.ports import Executor, Leadership
from dstk_storage.domain.controller.situation_reader import SituationReader, Sources
from dstk_storage.domain.controller.step_runner import StepRunner
from dstk_storage.ports import Offload

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 1.0
"""Between two inspections."""
SETTLE_SECONDS: Final = 0.5
"""For this long a partition is left alone after a step, until every node has learned the result from etcd."""
MAX_RECORDS: Final = 2000


@dataclass(frozen=True, slots=True)
class Parts:
    """What a controller works with. `offload`: runs the planner, which takes half a second for 10,000 partitions."""

    me: NodeId
    leadership: Leadership
    sources: Sources
    executor: Executor
    offload: Offload
    observer: Observer = NULL


class Controller:
    """Plans and acts.

    Invariants: it begins a step only while it is certain to be the leader and is not paused; at most one of its steps touches
    a partition; each step that it begins has an event with its outcome, unless etcd is unreachable.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._clock: Clock = parts.sources.clock
        self._runner = self._make_runner()
        self._records: list[ActionRecord] | None = None
        self._running: dict[Step, None] = {}
        self._findings: frozenset[Finding] = frozenset()
        self._obstacle = ""
        self._basis: PlanBasis | None = None
        self.reader = SituationReader(parts.sources)
        self.plan = Plan()

    @property
    def leader(self) -> NodeId | None:
        """The node that is the controller, as far as this node knows."""
        return self._parts.leadership.leader

    @property
    def running(self) -> tuple[Step, ...]:
        """The steps that are running now."""
        return tuple(self._running)

    async def run(self, every: float = INTERVAL_SECONDS) -> None:
        """Plans and acts until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for step in await self.tick():
                    tasks.create_task(self.act(step))
                await self._clock.sleep(every)

    async def tick(self) -> tuple[Step, ...]:
        """Inspects the cluster once. Returns the steps to begin now; none while etcd is unreachable."""
        self.reader.update_absences()
        try:
            steps = await (self._lead() if self._parts.leadership.acting else self._stand_by())
        except (CoordinatorUnavailable, InvalidSetting) as error:
            self._log_obstacle(str(error))
            return ()
        self._log_obstacle("")
        self._running.update(dict.fromkeys(steps))
        return steps

    async def preview(self) -> Plan:
        """Returns the last plan of the leader; on another node, what it would plan if it were the leader.

        Raises CoordinatorUnavailable, InvalidSetting.
        """
        if self._records is not None and self._parts.leadership.acting:
            return self.plan
        return await self._make_plan(await self.reader.read(await self.reader.read_records()))

    async def act(self, step: Step) -> None:
        """Runs a step that `tick` returned."""
        record = await self._runner.run(step)
        if record is not None:
            self._remember(record)
            await self._clock.sleep(SETTLE_SECONDS)
        self._running.pop(step, None)

    async def _lead(self) -> tuple[Step, ...]:
        if self._records is None:
            self._records = await self.reader.read_records()
            log.info("this node is the controller now", extra=LogFields(action="controller_started"))
        backing_off = self._runner.retries.backing_off(self._clock.monotonic())
        situation = await self.reader.read(self._records, self._running, backing_off)
        if self._basis is None or not self._basis.covers(situation):
            await self._plan_for(situation)
        if situation.settings.paused or not self._parts.leadership.acting:
            return ()
        if self.plan.steps:
            self._basis = None  # its steps begin now: the next plan continues
        return self.plan.steps

    async def _plan_for(self, situation: Situation) -> None:
        situation = await self._update_overrides(situation)
        self.plan, self._basis = await self._make_plan(situation), PlanBasis.of(situation)
        self._log_findings(self.plan.findings)

    async def _stand_by(self) -> tuple[Step, ...]:
        """Another node is the controller, or none is."""
        if self._records is not None:
            log.info("this node is not the controller any more", extra=LogFields(action="controller_ended"))
            self.reader.pause()
        self._records, self._findings, self._runner = None, frozenset(), self._make_runner()
        self.plan, self._basis = Plan(), None
        await self.reader.read_settings()
        return ()

    def _make_runner(self) -> StepRunner:
        parts = self._parts
        return StepRunner(parts.executor, parts.leadership, parts.sources.events, self._clock, parts.observer)

    async def _make_plan(self, situation: Situation) -> Plan:
        return await self._parts.offload(partial(make_plan, situation))

    async def _update_overrides(self, situation: Situation) -> Situation:
        """The first controller of a cluster adopts its boundaries; every controller deletes outdated overrides."""
        store, current = self._parts.sources.overrides, {partition.id for partition in situation.map.partitions}
        if current and not any(override.action == ADOPTED for override in situation.overrides):
            await store.adopt(current, situation.now_ms)
            return replace(situation, overrides=await store.load())
        kept = [override for override in situation.overrides if override.action != ADOPTED]
        outdated = [each for each in kept if expired(each, situation.now_ms) or each.partition not in current]
        if outdated:
            await store.forget(outdated)
        return situation

    def _remember(self, record: ActionRecord) -> None:
        if self._records is not None:
            self._records = [record, *self._records[: MAX_RECORDS - 1]]

    def _log_obstacle(self, obstacle: str) -> None:
        """Logs once why it cannot plan."""
        if obstacle and not self._obstacle:
            log.warning("the controller cannot plan", extra=LogFields(error=obstacle))
        self._obstacle = obstacle

    def _log_findings(self, findings: tuple[Finding, ...]) -> None:
        """Logs each finding once, when it appears."""
        for finding in findings:
            if finding not in self._findings:
                level = logging.WARNING if finding.partition else logging.INFO
                log.log(level, "the controller cannot fix this now: %s", finding.reason, extra=_fields_of(finding))
        self._findings = frozenset(findings)


def _fields_of(finding: Finding) -> LogFields:
    fields = LogFields(action="controller_finding")
    if finding.partition:
        fields["partition"] = finding.partition
    if finding.node:
        fields["node"] = finding.node
    return fields
