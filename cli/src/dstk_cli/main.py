"""The `dstk` command: puts the commands together."""

import os
import sys
from importlib.metadata import EntryPoints, PackageNotFoundError, distribution, version
from typing import Annotated

import typer

from dstk_cli import console
from dstk_cli.command import DEBUG_VARIABLE, guarded
from dstk_cli.data import records, scan
from dstk_cli.data.load import command as load
from dstk_cli.errors import FAILED, CliError
from dstk_cli.help import paragraphs
from dstk_cli.local import commands as local
from dstk_cli.observe import count, heatmap, hot, splits, top
from dstk_cli.operate import controller, doctor, nodes, partitions
from dstk_service import descriptors

_HELP = paragraphs("""
A partitioned, ordered, durable key-value store: run a cluster on this machine, and work with the data of any.
[bold]Start here[/]
  dstk demo                       half a minute that shows what it does
  dstk local up --detach          a cluster of your own, data in ./.dstk
  dstk put hello world            dstk get hello            dstk scan
  dstk doctor                     is anything wrong, and what is to be done about it
  dstk top                        what the cluster does now
  dstk local down                 stops it; the data stays
[bold]Keys[/] are text (user:42), typed tuples ('("city","FR",2988507)', sorted by their parts) or hex (0x6869).
""")
_DATA, _CLUSTER, _OPERATORS = "Data", "Cluster", "Operators"
_DEMO, _ADDED = "dstk-demo", "dstk.commands"
"""A package that images do without, and the group of the entry points by which it adds its command."""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dstk {version('dstk-cli')}")
        raise typer.Exit


@app.callback(help=_HELP)
def dstk(
    debug: Annotated[bool, typer.Option("--debug", envvar=DEBUG_VARIABLE, help="Show tracebacks of errors.")] = False,
    show_version: Annotated[  # noqa: ARG001 - its callback does the work, before a command is asked for
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What stands in front of every command."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    if sys.stdout is None:
        raise typer.Exit(_without_output())


def _added_commands() -> EntryPoints:
    """What the demo adds, if it is installed. Asking all packages for the group would take a fifth of a second."""
    try:
        return distribution(_DEMO).entry_points.select(group=_ADDED)
    except PackageNotFoundError:
        return EntryPoints()


app.add_typer(local.app, name="local", rich_help_panel=_CLUSTER)
for found in _added_commands():
    app.command(found.name, rich_help_panel=_CLUSTER)(found.load())
app.command(rich_help_panel=_OPERATORS, epilog=doctor.DOCTOR_EXAMPLES)(doctor.doctor)
app.add_typer(nodes.app, name="nodes", rich_help_panel=_OPERATORS)
app.add_typer(partitions.app, name="partitions", rich_help_panel=_OPERATORS)
app.add_typer(controller.app, name="controller", rich_help_panel=_OPERATORS)
app.command(rich_help_panel=_OPERATORS, epilog=top.TOP_EXAMPLES)(top.top)
app.command(rich_help_panel=_OPERATORS, epilog=hot.HOT_EXAMPLES)(hot.hot)
app.command(rich_help_panel=_OPERATORS, epilog=heatmap.HEATMAP_EXAMPLES)(heatmap.heatmap)
app.command("split", rich_help_panel=_OPERATORS)(partitions.split_at)
app.command(rich_help_panel=_DATA, epilog=records.PUT_EXAMPLES)(records.put)
app.command(rich_help_panel=_DATA, epilog=records.GET_EXAMPLES)(records.get)
app.command(rich_help_panel=_DATA)(records.delete)
app.command(rich_help_panel=_DATA, epilog=scan.SCAN_EXAMPLES)(scan.scan)
app.command(rich_help_panel=_DATA, epilog=count.COUNT_EXAMPLES)(count.count)
app.command(rich_help_panel=_DATA, epilog=splits.SPLITS_EXAMPLES)(splits.splits)
app.command(rich_help_panel=_DATA, epilog=load.LOAD_EXAMPLES)(load.load)


def main() -> None:
    """The program `dstk`, with as many descriptors as the system allows, and none of the first three left for others."""
    descriptors.fill_standard()
    descriptors.raise_limit()
    console.accept_any_text()
    try:
        guarded(app)(prog_name="dstk")
    except typer.Exit as end:
        sys.exit(end.exit_code)


def _without_output() -> int:
    """Says that there is nowhere to put results, and returns the exit code."""
    console.fail(CliError("standard output is closed", "give it somewhere to go: > FILE, or > /dev/null"))
    return FAILED
