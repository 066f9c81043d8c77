"""What runs right now: written by the supervisor at every change, read by everybody else."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from dstk_cli.local.layout import write_atomic
from dstk_cli.local.processes import ProcessRef


class Phase(StrEnum):
    """What a process, or the cluster as a whole, is doing."""

    WAITING = "waiting"
    STARTING = "starting"
    SERVING = "serving"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ChildState:
    """A supervised process. `started_at` is in Unix seconds, 0: not started; `last_exit` says why it ended last."""

    name: str
    address: str
    log: str
    phase: Phase = Phase.WAITING
    process: ProcessRef | None = None
    started_at: float = 0.0
    restarts: int = 0
    last_exit: str = ""


@dataclass(frozen=True, slots=True)
class RunState:
    """A running cluster: its supervisor and its children in the order in which they start."""

    supervisor: ProcessRef
    phase: Phase
    router: str
    started_at: float
    children: tuple[ChildState, ...]

    @property
    def supervised(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return self.supervisor.alive

    def processes(self) -> list[ProcessRef]:
        """The children that were running when this was written, in the order in which they are to be stopped."""
        return [child.process for child in reversed(self.children) if child.process]


def save(path: Path, state: RunState) -> None:
    """Writes the state whole."""
    write_atomic(path, json.dumps(asdict(state), indent=2) + "\n")


def load(path: Path) -> RunState | None:
    """The state that was written last; None when there is none or it is not readable (nothing can rest on it then)."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        children = tuple(_child(child) for child in fields["children"])
        supervisor = ProcessRef(**fields["supervisor"])
        return RunState(supervisor, Phase(fields["phase"]), fields["router"], fields["started_at"], children)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _child(fields: dict[str, Any]) -> ChildState:
    process = ProcessRef(**fields["process"]) if fields["process"] else None
    return ChildState(**{**fields, "phase": Phase(fields["phase"]), "process": process})
