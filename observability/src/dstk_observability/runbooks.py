"""The index of runbooks. The pages are written by hand: tests hold that each alert has one, with its sections."""

from collections.abc import Iterator

from dstk_doctor import findings_of
from dstk_observability.alerts import GROUPS
from dstk_observability.alerts.kinds import Group
from dstk_observability.documents import NOTICE

SECTIONS = ("Meaning", "Impact", "Look", "Mend")
"""What each page says, in order."""

_TOP = f"""\
<!-- {NOTICE} -->
# Runbooks
A page for each alert: what it means, what callers notice, where to look, what to do. *page* wakes a person; *ticket* waits for
working hours. The last column has the findings of `dstk doctor` that go with the alert.
"""


def index() -> str:
    """docs/runbooks/README.md."""
    return _TOP + "".join(line for group in GROUPS for line in _table(group))


def _table(group: Group) -> Iterator[str]:
    yield f"\n## {group.title}\n| alert | severity | for | doctor |\n| --- | --- | --- | --- |\n"
    for alert in group.alerts:
        findings = ", ".join(f"`{kind}`" for kind in findings_of(alert.name))
        yield f"| [{alert.name}]({alert.name}.md) | {alert.severity} | {alert.hold} | {findings} |\n"
