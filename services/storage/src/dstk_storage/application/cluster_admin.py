"""Operators' requests to the controller. Every node answers them: the cluster's settings and events are in etcd."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cluster.events import Event, EventLog, Origin, Outcome
from dstk_cluster.model import ClusterMap
from dstk_cluster.port import CoordinatorUnavailable
from dstk_cluster.settings import DesiredState, NodeSpec, SettingsStore
from dstk_cluster.view import CurrentMap
from dstk_keytypes import NodeId
from dstk_service.controller_settings import ControllerSettings
from dstk_service.errors import NotServing
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.controller.controller import Controller
from dstk_storage.domain.controller.model import Finding, Plan, Step

log = logging.getLogger(__name__)

_DESIRED_STATES: Final = {
    admin_pb2.DESIRED_STATE_ACTIVE: DesiredState.ACTIVE,
    admin_pb2.DESIRED_STATE_CORDONED: DesiredState.CORDONED,
    admin_pb2.DESIRED_STATE_DRAINED: DesiredState.DRAINED,
    admin_pb2.DESIRED_STATE_REMOVED: DesiredState.REMOVED,
}
_PROTOS: Final = {state: proto for proto, state in _DESIRED_STATES.items()}
_ORIGINS: Final = {
    Origin.CONTROLLER: admin_pb2.EVENT_ORIGIN_CONTROLLER,
    Origin.OPERATOR: admin_pb2.EVENT_ORIGIN_OPERATOR,
    Origin.NODE: admin_pb2.EVENT_ORIGIN_NODE,
}
_OUTCOMES: Final = {
    Outcome.RUNNING: admin_pb2.EVENT_OUTCOME_RUNNING,
    Outcome.DONE: admin_pb2.EVENT_OUTCOME_DONE,
    Outcome.FAILED: admin_pb2.EVENT_OUTCOME_FAILED,
}


class ClusterAdmin:
    """Answers servicers.admin.ClusterAdminApi."""

    def __init__(self, controller: Controller, settings: SettingsStore, events: EventLog, view: CurrentMap) -> None:
        self._controller, self._settings, self._events, self._view = controller, settings, events, view

    async def set_desired_state(self, request: admin_pb2.SetDesiredStateRequest) -> None:
        """Replaces the desired state of a node. `request` has passed admin_requests.desired_state. Raises NotServing."""
        node = NodeId(request.node)
        replacement = NodeId(request.replacement) if request.replacement else None
        spec = NodeSpec(_DESIRED_STATES[request.desired_state], replacement)
        with _answering():
            await self._settings.set_node(node, spec)
            await self._controller.reader.read_settings()
        instead = f", with {replacement} as its replacement" if replacement else ""
        await self._record("desired_state", f"the desired state is {spec.desired_state}{instead}", node)

    async def configure(self, request: admin_pb2.SetControllerRequest) -> admin_pb2.SetControllerResponse:
        """Changes the settings that the request names. `request` has passed admin_requests.settings. Raises NotServing."""
        changes = {name: getattr(request.settings, name) for name in request.fields}
        with _answering():
            old, new = await self._settings.configure(changes)
            await self._controller.reader.read_settings()
        _log_changes(old, new, changes)
        if old.paused != new.paused:
            await self._record("pause" if new.paused else "resume", "")
        return admin_pb2.SetControllerResponse(settings=settings_to_proto(new))

    async def controller(self) -> admin_pb2.GetControllerResponse:
        """Returns the leader, the settings, and the plan: running steps, next steps and problems. Raises NotServing."""
        with _answering():
            plan = await self._controller.preview()
            settings = await self._controller.reader.read_settings()
        return admin_pb2.GetControllerResponse(
            leader=self._controller.leader or "",
            settings=settings_to_proto(settings.controller),
            plan=_plan_to_proto(self._controller.running, plan),
        )

    async def events(self, limit: int) -> admin_pb2.ListEventsResponse:
        """Returns the newest events, newest first. Raises NotServing."""
        with _answering():
            newest = await self._events.newest(limit)
        return admin_pb2.ListEventsResponse(events=map(_event_to_proto, newest))

    def desired_state_of(self, node: NodeId) -> admin_pb2.DesiredState.ValueType:
        """Returns the desired state of a node, about a second old at most."""
        return _PROTOS[self._controller.reader.settings.node(node).desired_state]

    def absent(self) -> list[admin_pb2.NodeStatus]:
        """Returns the nodes that are not alive but have a desired state; only id and desired state are set."""
        current: ClusterMap | None = self._view.current
        alive = set() if current is None else set(current.nodes)
        return [
            admin_pb2.NodeStatus(node=topology_pb2.Node(id=node), desired_state=self.desired_state_of(node))
            for node in sorted(self._controller.reader.settings.nodes)
            if node not in alive
        ]

    async def _record(self, action: str, reason: str, subject: str = "") -> None:
        event = self._events.make(action, subject=subject, origin=Origin.OPERATOR, reason=reason)
        log.info(
            "operator: %s", action, extra=LogFields(action=action, node=subject, origin=Origin.OPERATOR, reason=reason)
        )
        await self._events.append(event)


def _log_changes(old: ControllerSettings, new: ControllerSettings, names: Iterable[str]) -> None:
    for name in names:
        values = str(getattr(old, name)), str(getattr(new, name))
        extra = LogFields(action="settings_changed", origin=Origin.OPERATOR, setting=name, old=values[0], new=values[1])
        log.info("setting %s of the controller changed from %s to %s", name, *values, extra=extra)


def settings_to_proto(settings: ControllerSettings) -> admin_pb2.ControllerSettings:
    """The settings as a message; the names are the same."""
    return admin_pb2.ControllerSettings(**asdict(settings))


@contextmanager
def _answering() -> Iterator[None]:
    """Raises refusals as errors of the API."""
    try:
        yield
    except CoordinatorUnavailable as error:
        raise NotServing(f"etcd does not answer; the request may yet take effect: {error}", 1.0) from error


def _plan_to_proto(running: tuple[Step, ...], plan: Plan) -> list[admin_pb2.PlannedStep]:
    """A step that is both running and planned is shown once."""
    begun = {step.attempt for step in running}
    planned = (step for step in plan.steps if step.attempt not in begun)
    return [
        *(_step_to_proto(step, admin_pb2.STEP_STATE_RUNNING) for step in running),
        *(_step_to_proto(step, admin_pb2.STEP_STATE_PLANNED) for step in planned),
        *(_finding_to_proto(finding) for finding in plan.findings if finding.partition),
    ]


def _step_to_proto(step: Step, state: admin_pb2.StepState.ValueType) -> admin_pb2.PlannedStep:
    return admin_pb2.PlannedStep(
        action=step.action,
        partition_id=step.partition,
        node=step.node or "",
        at=step.at,
        reason=step.reason,
        state=state,
    )


def _finding_to_proto(finding: Finding) -> admin_pb2.PlannedStep:
    return admin_pb2.PlannedStep(
        partition_id=finding.partition,
        node=finding.node or "",
        reason=finding.reason,
        state=admin_pb2.STEP_STATE_BLOCKED,
    )


def _event_to_proto(event: Event) -> admin_pb2.Event:
    return admin_pb2.Event(
        at_ms=event.at_ms,
        node=event.node,
        action=event.action,
        partition_id=event.partition,
        subject=event.subject,
        origin=_ORIGINS[event.origin],
        reason=event.reason,
        outcome=_OUTCOMES[event.outcome],
        error=event.error,
    )
