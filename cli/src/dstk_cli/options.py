"""Options that several commands share."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dstk_cli.directories import DATA_DIR_VARIABLE
from dstk_cli.directories import DEFAULT_DATA_DIR as DEFAULT_DATA_DIR
from dstk_keytypes.limits import MAX_PARTITION_ID


class OutputFormat(StrEnum):
    """The form of the output."""

    TABLE = "table"
    JSON = "json"


DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar=DATA_DIR_VARIABLE, file_okay=False, help="Directory of the local cluster."),
]
Output = Annotated[
    OutputFormat, typer.Option("--output", "-o", help="A table for people, or JSON for programs.", case_sensitive=False)
]
Router = Annotated[
    str | None,
    typer.Option(
        "--router",
        "-r",
        envvar="DSTK_ROUTER",
        metavar="HOST:PORT",
        help="Address of a router. Default: the local cluster's.",
    ),
]


def number(seconds: float) -> float:
    """Refuses NaN, which no comparison with a bound finds."""
    if math.isnan(seconds):
        raise typer.BadParameter("nan is not a number of seconds.")
    return seconds


def partition_id(text: str) -> int:
    """Parses a partition id. Raises typer.BadParameter."""
    if not text.isdecimal() or len(text) > len(str(MAX_PARTITION_ID)) or not 1 <= int(text) <= MAX_PARTITION_ID:
        raise typer.BadParameter(f"{text[:40]!r} is not a partition id: give a number in 1..{MAX_PARTITION_ID}")
    return int(text)


MAX_TIMEOUT = 86_400
Timeout = Annotated[
    float,
    typer.Option("--timeout", min=0.001, max=MAX_TIMEOUT, callback=number, help="Seconds to wait for each operation."),
]
DEFAULT_TIMEOUT = 5.0
TimeToLive = Annotated[
    str | None, typer.Option("--ttl", metavar="TIME", help="Expire after this time: 90, 500ms, 5m, 2h, 7d.")
]
Apply = Annotated[
    bool, typer.Option("--apply", "--yes", "-y", help="Do it. Without this option the command only shows its effects.")
]
