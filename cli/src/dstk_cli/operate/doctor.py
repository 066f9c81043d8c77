"""`dstk doctor`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.console import RenderableType
from rich.table import Table

from dstk.v1 import admin_pb2
from dstk_cli.errors import FAILED
from dstk_cli.help import examples
from dstk_cli.messages import as_json
from dstk_cli.operate.command_group import OPERATE_TIMEOUT
from dstk_cli.progress import shown
from dstk_cli.session import Session, connected
from dstk_cli.tables import table
from dstk_cli.untrusted import as_markup
from dstk_doctor.examine import CHECKS, examine
from dstk_doctor.facts import Facts, Finding, Severity
from dstk_doctor.gathering import gather

OF_A_KIND = 10
"""How many findings of one kind the table shows; JSON has all."""

DOCTOR_EXAMPLES = examples("""
  dstk doctor                                    findings, the worst first, each with a command to run
  dstk doctor --output json | jq .findings       for programs
[bold]Exit codes[/]  0 no errors (there may be warnings and notes), 1 at least one error
""")

_COLOURS = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


@connected(OPERATE_TIMEOUT)
async def doctor(session: Session) -> None:
    """Checks the cluster and suggests fixes. Changes nothing.

    Covers the map, partitions, replicas, nodes and the controller. Observes the cluster twice, a second apart, so that what is
    still moving does not count as stuck.
    """
    async with session.cluster() as cluster:
        with shown("checking the cluster"):
            facts = await gather(cluster)
    findings = examine(facts)
    session.show(_result(facts, findings), *_report(facts, findings))
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(FAILED)


def _checked(facts: Facts) -> dict[str, int]:
    counts = {"nodes": facts.nodes, "partitions": facts.second.entries, "replicas": facts.second.replicas}
    equal = admin_pb2.COMPARISON_OUTCOME_EQUAL
    compared = sum(status.comparison.outcome == equal for status in facts.second.statuses)
    return {**{name: len(found) for name, found in counts.items()}, "checks": len(CHECKS), "compared": compared}


def _result(facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    healthy = not any(finding.severity is Severity.ERROR for finding in findings)
    comparisons = [{"id": status.partition.id, **as_json(status.comparison)} for status in facts.second.statuses]
    return {
        "healthy": healthy,
        "checked": _checked(facts),
        "findings": [{**asdict(finding), "alerts": list(finding.alerts)} for finding in findings],
        "comparisons": comparisons,
    }


def _report(facts: Facts, findings: Sequence[Finding]) -> Sequence[RenderableType]:
    looked = ", ".join(
        f"{count:,} {name.removesuffix('s') if count == 1 else name}" for name, count in _checked(facts).items()
    )
    if not findings:
        return [f"[bold green]no problems found[/]   {looked}"]
    return _table(findings), "", f"{_summary(findings)}   [dim]{looked}[/]"


def _table(findings: Iterable[Finding]) -> Table:
    made = table("", "where", "what", "run")
    seen: Counter[str] = Counter()
    for each in findings:
        seen[each.kind] += 1
        if seen[each.kind] <= OF_A_KIND:
            colour = f"[{_COLOURS[each.severity]}]{each.severity}[/]"
            made.add_row(colour, as_markup(each.where), as_markup(each.what), f"[cyan]{as_markup(each.run)}[/]")
    for kind, count in seen.items():
        if count > OF_A_KIND:
            made.add_row(
                "", f"[dim]{count - OF_A_KIND} more[/]", f"[dim]of kind {kind}: --output json shows all[/]", ""
            )
    return made


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(
        f"[{_COLOURS[severity]}]{counts[severity]} {severity}{'s' if counts[severity] > 1 else ''}[/]"
        for severity in Severity
        if counts[severity]
    )
