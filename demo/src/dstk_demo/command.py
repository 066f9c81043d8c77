"""`dstk demo`."""

from pathlib import Path
from typing import Annotated

import typer

from dstk_cli import console
from dstk_cli.command import guarded_async
from dstk_cli.errors import INTERRUPTED, CliError
from dstk_demo import run
from dstk_demo.context import ClaimFailedError
from dstk_localcluster import ClusterDir
from dstk_localcluster.foreground import cancelled_by_signals


@guarded_async
async def demo(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir", file_okay=False, help="Keep the cluster in this directory. Default: a temporary one."
        ),
    ] = None,
) -> None:
    """Runs a cluster on real data, kills a node, and checks every claim. Takes half a minute.

    Exit code 0 only if every claim holds. Leaves nothing behind without --data-dir.
    """
    finished = False
    with cancelled_by_signals(ClusterDir.at(data_dir or Path())):
        try:
            await run.run(console.out(), data_dir)
        except ClaimFailedError as failure:
            raise CliError(
                f"this does not hold: {failure}", "run it again with --data-dir DIR: the logs are in DIR/logs"
            ) from None
        finished = True
    if not finished:
        console.note("[yellow]interrupted[/]: everything is stopped")
        raise typer.Exit(INTERRUPTED)
