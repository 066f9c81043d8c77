"""`dstk count`: how many records and bytes a range has."""

from typing import Annotated

import typer

from dstk.v1 import metrics_pb2
from dstk_cli import progress
from dstk_cli.data import ranges
from dstk_cli.help import examples
from dstk_cli.messages import key_or_none
from dstk_cli.observe.service import OBSERVE_TIMEOUT, reach
from dstk_cli.session import Session, connected
from dstk_cli.untrusted import as_markup
from dstk_keytypes import KeyRange
from dstk_service import figures

COUNT_EXAMPLES = examples("""
  dstk count                                  all records, by the counters of the partitions
  dstk count user:                            keys that begin with these bytes
  dstk count --prefix '("city","FR")'          tuples that begin with these parts
  dstk count --start b --end d --output json   for programs
  dstk count user: --exact                    reads all keys of the range
""")

Exact = Annotated[bool, typer.Option("--exact", help="Count by reading all keys. Takes as long as a scan.")]


@connected(OBSERVE_TIMEOUT)
async def count(
    session: Session,
    begin: ranges.PrefixArgument = None,
    prefix: ranges.Prefix = None,
    start: ranges.Start = None,
    end: ranges.End = None,
    exact: Exact = False,
) -> None:
    """Estimate how many records and bytes a range has, with bounds that hold in 99 of 100 cases.

    Whole partitions are summed up from their counters; of partitions that the range has only a part of, a sample is read. With
    --exact, all keys are read instead; records that are written meanwhile may or may not count.
    """
    key_range = ranges.chosen_range(begin, prefix, start, end)
    if exact:
        records = await _counted(session, key_range)
        session.show({**_range_json(key_range), "exact": True, "records": records}, figures.counted(records, "record"))
        return
    async with reach(session.target()) as metrics:
        found = await metrics.estimate(key_range)
    fields = {field.name: getattr(found, field.name) for field in found.DESCRIPTOR.fields}
    session.show({**_range_json(key_range), "exact": False, **fields}, *_lines(found, key_range))


async def _counted(session: Session, key_range: KeyRange) -> int:
    async with session.target().client() as client:
        with progress.records("counting", None) as screen:
            async for keys in client.scan_keys(key_range).pages():
                screen.acknowledged(len(keys))
            return screen.meter.records


def _lines(found: metrics_pb2.EstimateRangeResponse, key_range: KeyRange) -> tuple[str, str, str]:
    measured = f", {found.measured_partitions:,} of them measured" if found.measured_partitions else ""
    sizes = f"{figures.size(found.bytes_low)} to {figures.size(found.bytes_high)}"
    return (
        f"[bold]~{figures.counted(found.records, 'record')}[/]   [bold]~{figures.size(found.bytes)}[/]",
        f"{found.records_low:,} to {found.records_high:,} records, {sizes}, in 99 of 100 cases",
        f"[dim]{as_markup(ranges.shown(key_range))}: {figures.counted(found.partitions, 'partition')}{measured}[/]",
    )


def _range_json(key_range: KeyRange) -> dict[str, str | None]:
    return {"start": key_or_none(key_range.start), "end": key_or_none(key_range.end or b"")}
