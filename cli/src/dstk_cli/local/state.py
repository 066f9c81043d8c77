"""What runs right now: written by the supervisor at every change, read by everybody else."""

import errno
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from dstk_cli.local.layout import write_atomic
from dstk_cli.local.processes import ProcessRef

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_BLOCK = 4096
_READS = 3
_BETWEEN_READS_S = 0.01


class Phase(StrEnum):
    """What a process, or the cluster as a whole, is doing."""

    WAITING = "waiting"
    STARTING = "starting"
    SERVING = "serving"
    RESTARTING = "restarting"
    FAILING = "failing"
    """It has died again and again without having served; the next attempt is due."""
    DEGRADED = "degraded"
    """Of the cluster: it serves, though not all of its processes do."""
    SILENT = "silent"
    """It runs and does not say that it serves."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ChildState:
    """A supervised process. Times are in Unix seconds, 0: never.

    `started_at`: of the process that runs. `since`: when it began to serve, or ceased to. `last_exit`: how it ended last, and
    `reason`: why, in the words of its log; empty while it serves.
    """

    name: str
    address: str
    log: str
    phase: Phase = Phase.WAITING
    process: ProcessRef | None = None
    started_at: float = 0.0
    restarts: int = 0
    last_exit: str = ""
    since: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """The directory that a state was written for: what is copied elsewhere speaks of processes that are not the copy's."""

    path: str
    device: int
    inode: int

    @staticmethod
    def of(directory: Path) -> "Home":
        """Raises OSError."""
        real = directory.resolve()
        found = real.stat()
        return Home(str(real), found.st_dev, found.st_ino)

    @property
    def is_there(self) -> bool:
        """Whether the path still leads to this directory, which may have been removed, moved away or replaced."""
        try:
            return Home.of(Path(self.path)) == self
        except OSError:
            return False

    def check(self) -> None:
        """Raises FileNotFoundError where it is not there."""
        if not self.is_there:
            raise FileNotFoundError(
                errno.ENOENT, "the data directory has been removed, moved away or replaced", self.path
            )


@dataclass(frozen=True, slots=True)
class RunState:
    """A running cluster: its supervisor and its children in the order in which they start.

    `trouble`: what the supervisor itself cannot do, such as writing this down; empty: nothing.
    """

    home: Home
    supervisor: ProcessRef
    phase: Phase
    router: str
    started_at: float
    children: tuple[ChildState, ...]
    trouble: str = ""

    def with_children(self, children: tuple[ChildState, ...]) -> "RunState":
        """The same cluster with these processes: as a whole it is no better than they are."""
        return replace(self, children=children, phase=overall(self.phase, children))

    def processes(self) -> list[ProcessRef]:
        """The children that were running when this was written, in the order in which they are to be stopped."""
        return [child.process for child in reversed(self.children) if child.process]


def overall(phase: Phase, children: Iterable[ChildState]) -> Phase:
    """What a cluster is doing that is meant to do `phase` and has these processes."""
    meant_to_serve = phase in {Phase.SERVING, Phase.DEGRADED}
    if not meant_to_serve:
        return phase
    return Phase.SERVING if all(child.phase is Phase.SERVING for child in children) else Phase.DEGRADED


def save(path: Path, state: RunState) -> None:
    """Writes the state. Raises OSError, also where the directory is another one by now.

    Whole, and where there is no room for another file, over the present one: it is padded, so that what is written over it
    needs no room. A reader in that moment may find half of each, and reads again.
    """
    state.home.check()
    text = json.dumps(asdict(state), indent=2) + "\n"
    padded = text.ljust(_BLOCK * (len(text) // _BLOCK + 2))
    try:
        write_atomic(path, padded)
    except OSError as error:
        if error.errno not in _NO_ROOM or not path.exists():
            raise
        _overwrite(path, padded)


def load(path: Path) -> RunState | None:
    """The state that was written last for the directory that the file is in; None when there is none, or it is not readable
    (nothing can rest on it then), or it is a copy of another directory's.
    """
    for _ in range(_READS):
        found = _read(path)
        if isinstance(found, RunState):
            return found if found.home == Home.of(path.parent) else None
        if found is None:
            return None
        time.sleep(_BETWEEN_READS_S)
    return None


def _overwrite(path: Path, text: str) -> None:
    with path.open("r+b") as file:
        file.write(text.encode())
        file.truncate()


def _read(path: Path) -> RunState | ValueError | None:
    """The state, or why what is there is none."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        children = tuple(_child(child) for child in fields.pop("children"))
        home, supervisor = Home(**fields.pop("home")), ProcessRef(**fields.pop("supervisor"))
        return RunState(home, supervisor, Phase(fields.pop("phase")), children=children, **fields)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return ValueError(str(error))


def _child(fields: dict[str, Any]) -> ChildState:
    process = ProcessRef(**fields["process"]) if fields["process"] else None
    return ChildState(**{**fields, "phase": Phase(fields["phase"]), "process": process})
