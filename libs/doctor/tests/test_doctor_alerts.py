"""Each finding names the alerts that go with it, or the page says why there is none."""

import ast
from collections.abc import Iterator
from pathlib import Path

import dstk_doctor
from dstk_doctor.alerts import ALERTS, WITHOUT, findings_of
from dstk_doctor.facts import Finding, Severity

KIND = 1
"""The position of a finding's kind."""


def kinds_in_code() -> Iterator[str]:
    for path in Path(dstk_doctor.__file__).parent.glob("*_checks.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding":
                yield from (each.value for each in ast.walk(node.args[KIND]) if isinstance(each, ast.Constant))


def test_every_kind_of_finding_has_alerts_or_a_reason_for_having_none() -> None:
    assert set(kinds_in_code()) == {*ALERTS, *WITHOUT}
    assert not set(ALERTS) & set(WITHOUT)


def test_a_finding_names_its_alerts() -> None:
    gone = Finding(Severity.ERROR, "node_gone", "is gone", "storage-1", "dstk nodes")
    assert list(gone.alerts) == ["DstkNodeDown", "DstkNodesDown"]
    assert "node_gone" in findings_of("DstkNodeDown")
    assert not Finding(Severity.NOTE, "cordoned", "is cordoned", "storage-1", "dstk nodes").alerts
