"""Describes what changed between two states of a cluster, as lines for people."""

from dstk_localcluster.state import ClusterState, Phase, ProcessState


class ChangeDescriber:
    """Remembers the state that it described last."""

    def __init__(self) -> None:
        self._last: dict[str, ProcessState] = {}
        self._phase, self._trouble = "", ""

    def since_last(self, now: ClusterState) -> list[str]:
        """Returns a line for each change since the last call."""
        lines = [line for process in now.processes if (line := self._of_process(process))]
        if now.phase != self._phase:
            lines.append(f"cluster {now.phase}")
            self._phase = now.phase
        if now.trouble != self._trouble:
            lines.append(now.trouble or "run.json is written again")
            self._trouble = now.trouble
        return lines

    def _of_process(self, process: ProcessState) -> str:
        last, self._last[process.name] = self._last.get(process.name), process
        if last is not None and _is_same(last, process):
            return ""
        if process.phase in {Phase.RESTARTING, Phase.FAILING} and process.process is None:
            why = f": {process.reason}" if process.reason else ""
            return f"{process.name} died ({process.last_exit}{why}) and is restarted, log {process.log}"
        if process.phase is Phase.SERVING:
            again = f" again, restart {process.restarts}" if process.restarts else ""
            pid = process.process.pid if process.process else "-"
            return f"{process.name} serves{again} on {process.address}, pid {pid}"
        return f"{process.name} stopped" if process.phase is Phase.STOPPED else ""


def _is_same(last: ProcessState, process: ProcessState) -> bool:
    """Whether nothing changed: a process that keeps failing for the same reason is described once."""
    if last.phase is process.phase is Phase.FAILING:
        return process.process is not None or last.reason == process.reason
    return (last.phase, last.restarts) == (process.phase, process.restarts)
