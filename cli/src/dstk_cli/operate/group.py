"""What groups of operators' commands have in common."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

OPERATE_TIMEOUT = 15.0
"""Seconds for a change of the map: a router gives its nodes 12."""

MAX_ID = 2**64 - 1

Id = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=MAX_ID, help="The partition, as `dstk partitions` shows it.")
]


class ListsByDefault(TyperGroup):
    """`dstk nodes` and `dstk nodes --output json` mean `dstk nodes list ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        asks_for_help = bool(args) and args[0] in ctx.help_option_names
        if not args or (args[0].startswith("-") and not asks_for_help):
            args = ["list", *args]
        return list(super().parse_args(ctx, args))


def group(text: str, epilog: str) -> typer.Typer:
    """A group that lists when it is told nothing else; `text` and `epilog` are its help."""
    return typer.Typer(
        cls=ListsByDefault,
        help=text,
        epilog=epilog,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
