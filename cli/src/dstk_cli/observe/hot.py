"""`dstk hot`: the partitions that are hot, why, and what to do about it."""

from typing import Annotated

import typer

from dstk.v1 import metrics_pb2
from dstk_cli.help import examples
from dstk_cli.messages import as_json, key_or_none
from dstk_cli.observe import quantities
from dstk_cli.observe.quantities import Load
from dstk_cli.observe.service import OBSERVE_TIMEOUT, reach
from dstk_cli.session import Session, connected
from dstk_cli.tables import Columns, listing
from dstk_cli.untrusted import as_markup
from dstk_keytypes import Key
from dstk_service.figures import duration
from dstk_service.metrics_requests import MAX_HOT

HOT_EXAMPLES = examples("""
  dstk hot                        by each load: reads, writes, bytes, processor time
  dstk hot --by writes --limit 5
  dstk hot --output json | jq '.partitions[0].prefixes'
""")

By = Annotated[
    Load | None, typer.Option("--by", help="Only partitions that are hot by this load.", case_sensitive=False)
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_HOT, help="Maximum number by each load.")]


@connected(OBSERVE_TIMEOUT)
async def hot(session: Session, by: By = None, limit: Limit = 20) -> None:
    """Shows the partitions that are hot, the keys that are asked most, and what to do about it.

    A partition is hot when its load is at least a floor, and near the largest loads of the cluster.
    """
    async with reach(session.target()) as metrics:
        figure = metrics_pb2.FIGURE_UNSPECIFIED if by is None else quantities.number(by)
        found = await metrics.hot_partitions(figure, limit)
    table = listing(_COLUMNS, found.partitions, spare=_SPARE, prose="asked most, and what to do")
    shown = [table] if found.partitions else ["[green]no partition is hot[/]"]
    session.show(as_json(found), *shown, *(f"[dim]{_rule(rule)}[/]" for rule in found.rules))


def _rule(rule: metrics_pb2.HotRule) -> str:
    """What the rule says, as a line."""
    figure = quantities.named(rule.by)
    if figure is None:
        return ""
    threshold, floor = (quantities.shown(figure, value) for value in (rule.threshold, rule.floor))
    return (
        f"hot by {figure}: at least {threshold}, the median of {rule.reports} reports in {duration(rule.window_s)}; "
        f"never below {floor}"
    )


def _load(found: metrics_pb2.HotPartition) -> str:
    figure = quantities.named(found.by)
    return "-" if figure is None else quantities.shown(figure, found.load)


def _prefix(found: metrics_pb2.HotPrefix) -> str:
    """A prefix as the command line takes it, with its share; a single key is said to be one."""
    shown = as_markup(Key.unchecked(found.prefix).display())
    return f"{'key ' if found.is_key else ''}[bold]{shown}[/]{'' if found.is_key else '…'} {found.share:.0%}"


def _why(found: metrics_pb2.HotPartition) -> str:
    """The prefixes, and the advice below."""
    return "\n".join(filter(None, (", ".join(map(_prefix, found.prefixes)), as_markup(found.advice)))) or "-"


_SPARE = ("start", "hot for", "x mean", "node", "share")
_COLUMNS: Columns[metrics_pb2.HotPartition] = {
    "by": lambda found: str(quantities.named(found.by) or "-"),
    ">load": lambda found: f"[bold]{_load(found)}[/]",
    ">share": lambda found: f"{found.share:.0%}",
    ">x mean": lambda found: f"{found.skew:.1f}",
    ">hot for": lambda found: duration(found.hot_for_s),
    ">partition": lambda found: str(found.stats.partition_id),
    "start": lambda found: as_markup(key_or_none(found.stats.start) or "(first)"),
    "node": lambda found: as_markup(found.stats.primary) or "-",
    "asked most, and what to do": _why,
}
