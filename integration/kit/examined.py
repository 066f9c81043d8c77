"""Facts for the doctor about a cluster, which is well or is spoiled, and its findings by kind."""

from dataclasses import dataclass, replace
from typing import Any

from dstk.v1 import admin_pb2
from dstk_doctor.facts import Facts, Finding, Observation, Severity
from kit import statuses

NOW = statuses.NOW_MS
E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
EQUAL = admin_pb2.ComparisonStatus(
    completed_ms=NOW - 7_200_000, outcome=admin_pb2.COMPARISON_OUTCOME_EQUAL, records=1234
)


class FakeFacts:
    """Facts about three nodes and two partitions that are all well, and ways to spoil them."""

    def __init__(self) -> None:
        self.entries = [statuses.entry(1, "123", end=b"m"), statuses.entry(2, "231", start=b"m")]
        self.nodes = {name: statuses.node(name) for name in ("storage-1", "storage-2", "storage-3")}
        self.settings: dict[str, Any] = {"replicas": 3, "compare_hours": 24}
        self.leader = "storage-1"
        self.first: dict[tuple[int, str], dict[str, Any] | None] = {}
        self.second: dict[tuple[int, str], dict[str, Any] | None] = {}
        self.not_serving: list[int] = []
        self.silent: list[str] = []
        self.events: list[admin_pb2.Event] = []
        self.before: list[Any] | None = None
        self.compared: dict[int, admin_pb2.ComparisonStatus] = {}
        self.failures: dict[int, tuple[admin_pb2.FailureCounts, admin_pb2.FailureCounts]] = {}
        """Failed writes of a partition in the first and in the second look."""

    def replica(self, number: int, name: str, *looks: dict[str, Any] | None) -> None:
        """How a replica differs from its primary's in the first and in the second look; once: in both. None: is not there."""
        self.first[number, f"storage-{name}"] = looks[0]
        self.second[number, f"storage-{name}"] = looks[-1]

    def facts(self, **fields: Any) -> Facts:
        controller = admin_pb2.GetControllerResponse(
            leader=self.leader, settings=admin_pb2.ControllerSettings(**self.settings)
        )
        first = self._look(self.before or self.entries, self.first)
        second = self._look(self.entries, self.second)
        for look, which in ((first, 0), (second, 1)):
            for number, counts in self.failures.items():
                look.status_of[number].write_failures.CopyFrom(counts[which])
        made = Facts(list(self.nodes.values()), first, second, controller, events=tuple(self.events))
        return replace(made, **fields)

    def _look(self, entries: list[Any], differing: dict[tuple[int, str], dict[str, Any] | None]) -> Observation:
        figures = [statuses.figures(entry) for entry in entries]
        for status in figures:
            status.serving = status.partition.id not in self.not_serving
            status.comparison.CopyFrom(self.compared.get(status.partition.id, EQUAL))
        rows = {(entry.id, name): (entry, name) for entry in entries for name in entry.replicas}
        strays = {at: (next(each for each in entries if each.id == at[0]), at[1]) for at in differing if at not in rows}
        replicas = [
            statuses.replica(entry, name, **fields)
            for at, (entry, name) in {**rows, **strays}.items()
            if (fields := differing.get(at, {})) is not None and name not in self.silent
        ]
        return Observation(entries, figures, replicas, self.silent)


def kinds(found: list[Finding]) -> list[str]:
    return [each.kind for each in found]


def only(found: list[Finding], kind: str) -> Finding:
    (one,) = [each for each in found if each.kind == kind]
    return one


def at(*, epoch: int = 5, sequence: int) -> dict[str, Any]:
    return {"position_epoch": epoch, "position_sequence": sequence}


@dataclass(frozen=True)
class Finds:
    """The one finding of a kind: `what` is part of its text, `run` begins the command that it suggests."""

    kind: str
    severity: Severity
    what: str
    where: str
    run: str

    def check(self, findings: list[Finding]) -> None:
        found = only(findings, self.kind)
        assert found.severity is self.severity
        assert self.what in found.what
        assert found.where == self.where
        assert found.run.startswith(self.run)
