"""Options that several commands share."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dstk_cli.local.layout import DATA_DIR_VARIABLE
from dstk_cli.local.layout import DEFAULT_DATA_DIR as DEFAULT_DATA_DIR


class OutputFormat(StrEnum):
    """For whom to print."""

    TABLE = "table"
    JSON = "json"


DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar=DATA_DIR_VARIABLE, file_okay=False, help="Where a local cluster keeps its data."),
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
        help="The router; unless given, the local cluster's.",
    ),
]


def number(seconds: float) -> float:
    """NaN is between no bounds and outside of none."""
    if math.isnan(seconds):
        raise typer.BadParameter("nan is not a number of seconds.")
    return seconds


MAX_TIMEOUT = 86_400
Timeout = Annotated[
    float,
    typer.Option("--timeout", min=0.001, max=MAX_TIMEOUT, callback=number, help="Seconds that an operation may take."),
]
DEFAULT_TIMEOUT = 5.0
Apply = Annotated[
    bool, typer.Option("--apply", "--yes", "-y", help="Do it; without this, only what would be done is shown.")
]
