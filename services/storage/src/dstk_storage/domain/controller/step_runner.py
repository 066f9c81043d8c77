"""Runs one step of a plan: as an event with its outcome, a line in the log, and a delay before a failed attempt is repeated."""

import logging
from dataclasses import replace

from dstk_cluster.events import EventLog, Origin, Outcome
from dstk_service.clock import Clock
from dstk_service.logs.actions import FAILURE, SUCCESS
from dstk_service.logs.fields import LogFields
from dstk_service.observe import Observer
from dstk_storage.domain.controller.action_records import to_event, to_record
from dstk_storage.domain.controller.model import ActionRecord, Step
from dstk_storage.domain.controller.ports import Executor, Leadership, StepFailed, StepResult
from dstk_storage.domain.controller.retries import RetrySchedule
from dstk_storage.domain.events import StepEnded

log = logging.getLogger(__name__)


class StepRunner:
    """Runs steps. `retries`: the attempts that failed; the runner adds to it, the planner reads it."""

    def __init__(
        self, executor: Executor, leadership: Leadership, events: EventLog, clock: Clock, observer: Observer
    ) -> None:
        self._executor, self._leadership, self._events, self._clock = executor, leadership, events, clock
        self._observer = observer
        self.retries = RetrySchedule()

    async def run(self, step: Step) -> ActionRecord | None:
        """Runs a step. Returns its record; None if it failed. Never raises: a failure concerns this step alone."""
        event = to_event(self._events, step)
        key = await self._events.append(event)
        began = self._clock.monotonic()
        outcome, error = Outcome.DONE, ""
        try:
            result = await self._execute(step)
            event = replace(event, upper=result.upper or event.upper)
            self.retries.succeeded(step.attempt)
        except StepFailed as failure:
            delay = self.retries.failed(step.attempt, self._clock.monotonic())
            outcome, error = Outcome.FAILED, f"{failure}; next attempt in {delay:g} s at the earliest"
        _log(step, outcome, error, self._clock.monotonic() - began)
        self._observer.observe(StepEnded(step.action, outcome is not Outcome.DONE))
        return to_record(await self._events.conclude(key, event, outcome, error))

    async def _execute(self, step: Step) -> StepResult:
        if not self._leadership.acting:
            raise StepFailed("this node is not the controller any more")
        try:
            return await self._executor.execute(step)
        except StepFailed:
            raise
        except Exception as error:
            extra = LogFields(partition=step.partition, node=step.node or "", reason=step.reason)
            log.exception("unexpected error in a step of the controller", extra=extra)
            raise StepFailed(f"unexpected {type(error).__name__}: {error}") from error


def _log(step: Step, outcome: Outcome, error: str, seconds: float) -> None:
    extra = LogFields(
        action=step.action,
        partition=step.partition,
        node=step.node or "",
        origin=Origin.CONTROLLER,
        reason=step.reason,
        outcome=SUCCESS if outcome is Outcome.DONE else FAILURE,
        error=error,
        seconds=round(seconds, 3),
    )
    log.info("controller: %s", step.action, extra=extra)
