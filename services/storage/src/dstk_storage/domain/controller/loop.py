"""The controller at work: looks, has it decided, and acts. Every node runs one; only the leader's acts."""

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
from dstk_storage.domain.controller.gathering import Gathering, Sources, deed_of, event_of
from dstk_storage.domain.controller.memory import outdated
from dstk_storage.domain.controller.model import Deed, Finding, Plan, Situation, Step
from dstk_storage.domain.controller.outcomes import Backoff
from dstk_storage.domain.controller.planner import outlook
from dstk_storage.domain.controller.ports import Done, Hands, Leadership, StepFailed
from dstk_storage.ports import Offload

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 0.5
"""How long a partition is left alone after a step: until every node has heard from etcd what has become of it."""
MOST_DEEDS: Final = 2000


@dataclass(frozen=True, slots=True)
class Parts:
    """What a controller works with. `offload`: where plans are made, which takes half a second for 10,000 partitions."""

    me: NodeId
    leadership: Leadership
    sources: Sources
    hands: Hands
    offload: Offload


class Controller:
    """Invariants: it begins a step only while it is the leader for certain and is not paused; of each partition it has at most
    one step under way; of each step that it begins there is an event with its outcome, unless etcd cannot be reached.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._clock: Clock = parts.sources.clock
        self._backoff = Backoff()
        self._deeds: list[Deed] | None = None
        self._under_way: dict[Step, None] = {}
        self._findings: frozenset[Finding] = frozenset()
        self._trouble = ""
        self.gathering = Gathering(parts.sources)
        self.plan = Plan()

    @property
    def leader(self) -> NodeId | None:
        """Who is the controller, as far as is known."""
        return self._parts.leadership.leader

    @property
    def under_way(self) -> tuple[Step, ...]:
        """What it does at this moment."""
        return tuple(self._under_way)

    async def run(self, every: float = EVERY_SECONDS) -> None:
        """Looks and acts until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for step in await self.look():
                    tasks.create_task(self.act(step))
                await self._clock.sleep(every)

    async def look(self) -> tuple[Step, ...]:
        """One look: the steps to begin now. Without etcd there are none."""
        self.gathering.see()
        try:
            steps = await (self._decide() if self._parts.leadership.acting else self._stand_by())
        except (CoordinatorUnavailable, InvalidSetting) as error:
            self._worry(str(error))
            return ()
        self._worry("")
        self._under_way.update(dict.fromkeys(steps))
        return steps

    async def outlook(self) -> Plan:
        """What this node would do if it were the leader; by the leader itself, what it decided last. Raises
        CoordinatorUnavailable, InvalidSetting.
        """
        if self._deeds is not None and self._parts.leadership.acting:
            return self.plan
        deeds = await self.gathering.recall()
        return await self._plan(await self.gathering.look(deeds))

    async def act(self, step: Step) -> None:
        """Takes a step, and writes down how it ended. Whatever goes wrong concerns this step alone."""
        events = self._parts.sources.events
        event = event_of(events, step)
        key = await events.append(event)
        began = self._clock.monotonic()
        upper = event.upper
        try:
            done = await self._take(step)
            upper, outcome = done.upper or upper, "done"
            self._backoff.succeeded(step.attempt)
        except StepFailed as error:
            rest = self._backoff.failed(step.attempt, self._clock.monotonic())
            outcome = f"failed: {error}; it is not tried again for {rest:g} s"
        _audit(step, outcome, self._clock.monotonic() - began)
        ended = await events.conclude(key, replace(event, upper=upper), outcome)
        self._remember(deed_of(ended))
        if outcome == "done":
            await self._clock.sleep(SETTLE_SECONDS)
        self._under_way.pop(step, None)

    async def _take(self, step: Step) -> Done:
        if not self._parts.leadership.acting:
            raise StepFailed("this node is not the controller any more")
        try:
            return await self._parts.hands.take(step)
        except StepFailed:
            raise
        except Exception as error:
            log.exception("unforeseen error in a step of the controller", extra={"step": str(step)})
            raise StepFailed(f"unforeseen {type(error).__name__}: {error}") from error

    async def _decide(self) -> tuple[Step, ...]:
        if self._deeds is None:
            self._deeds = await self.gathering.recall()
            log.info("this node is the controller now")
        now = self._clock.monotonic()
        situation = await self.gathering.look(self._deeds, self._under_way, self._backoff.resting(now))
        self.plan = await self._plan(await self._adopt_or_forget_overrides(situation))
        self._tell(self.plan.findings)
        held = situation.settings.paused or not self._parts.leadership.acting
        return () if held else self.plan.steps

    async def _plan(self, situation: Situation) -> Plan:
        return await self._parts.offload(partial(outlook, situation))

    async def _adopt_or_forget_overrides(self, situation: Situation) -> Situation:
        """The first controller of a cluster adopts its boundaries; each forgets what counts no more."""
        overrides, there = self._parts.sources.overrides, {partition.id for partition in situation.map.partitions}
        if there and not any(override.action == ADOPTED for override in situation.overrides):
            await overrides.adopt(there, situation.now_ms)
            return replace(situation, overrides=await overrides.load())
        kept = [override for override in situation.overrides if override.action != ADOPTED]
        old = [c for c in kept if outdated(c, situation.now_ms) or c.partition not in there]
        if old:
            await overrides.forget(old)
        return situation

    async def _stand_by(self) -> tuple[Step, ...]:
        """Another node is the controller, or nobody."""
        if self._deeds is not None:
            log.info("this node is not the controller any more")
            self.gathering.rest()
        self._deeds, self._findings, self._backoff, self.plan = None, frozenset(), Backoff(), Plan()
        await self.gathering.ask()
        return ()

    def _worry(self, trouble: str) -> None:
        """Tells why it cannot decide, once."""
        if trouble and not self._trouble:
            log.warning("the controller cannot decide", extra={"reason": trouble})
        self._trouble = trouble

    def _remember(self, deed: Deed | None) -> None:
        if deed is not None and self._deeds is not None:
            self._deeds = [deed, *self._deeds[: MOST_DEEDS - 1]]

    def _tell(self, findings: tuple[Finding, ...]) -> None:
        """Each once, when it comes up."""
        for finding in findings:
            if finding not in self._findings:
                level = logging.WARNING if finding.partition else logging.INFO
                extra = {"partition": finding.partition, "subject": finding.node}
                log.log(level, "the controller cannot mend this: %s", finding.reason, extra=extra)
        self._findings = frozenset(findings)


def _audit(step: Step, outcome: str, seconds: float) -> None:
    """One line for each action."""
    extra = {
        "partition": int(step.partition),
        "subject": step.node,
        "reason": step.reason,
        "outcome": outcome,
        "seconds": round(seconds, 3),
    }
    log.info("controller: %s", step.action, extra=extra)
