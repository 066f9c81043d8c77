"""Tells a running cluster's story: what changed between two states of it, as lines for people."""

from dstk_cli.local.state import ChildState, Phase, RunState


class Events:
    """Remembers the state that was told last."""

    def __init__(self) -> None:
        self._last: dict[str, ChildState] = {}
        self._phase, self._trouble = "", ""

    def between(self, now: RunState) -> list[str]:
        """What happened since the last call."""
        lines = [line for child in now.children if (line := self._of_child(child))]
        if now.phase != self._phase:
            lines.append(f"cluster {now.phase}")
            self._phase = now.phase
        if now.trouble != self._trouble:
            lines.append(now.trouble or "run.json is written again")
            self._trouble = now.trouble
        return lines

    def _of_child(self, child: ChildState) -> str:
        last, self._last[child.name] = self._last.get(child.name), child
        if last is not None and _is_same(last, child):
            return ""
        if child.phase in {Phase.RESTARTING, Phase.FAILING} and child.process is None:
            why = f": {child.reason}" if child.reason else ""
            return f"{child.name} died ({child.last_exit}{why}): it is started again, log {child.log}"
        if child.phase is Phase.SERVING:
            again = f" again, restart {child.restarts}" if child.restarts else ""
            return f"{child.name} serves{again} on {child.address}, pid {child.process.pid if child.process else '-'}"
        return f"{child.name} stopped" if child.phase is Phase.STOPPED else ""


def _is_same(last: ChildState, child: ChildState) -> bool:
    """Whether there is nothing to tell: a process that fails for the same reason all the time is told of once."""
    if last.phase is child.phase is Phase.FAILING:
        return child.process is not None or last.reason == child.reason
    return (last.phase, last.restarts) == (child.phase, child.restarts)
