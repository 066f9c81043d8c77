"""What the command groups of operators share."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dstk_cli.options import partition_id

OPERATE_TIMEOUT = 15.0
"""Seconds for a change of the map. A router allows its nodes 12."""


Id = Annotated[
    int, typer.Argument(metavar="ID", parser=partition_id, help="Partition id, as `dstk partitions` shows it.")
]


class ListsByDefault(TyperGroup):
    """`dstk nodes` and `dstk nodes --output json` mean `dstk nodes list ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Inserts `list` when the arguments name no command."""
        asks_for_help = bool(args) and args[0] in ctx.help_option_names
        if not args or (args[0].startswith("-") and not asks_for_help):
            args = ["list", *args]
        return list(super().parse_args(ctx, args))


def group(text: str, epilog: str) -> typer.Typer:
    """Makes a group whose default command is `list`. `text` and `epilog`: its help."""
    return typer.Typer(
        cls=ListsByDefault,
        help=text,
        epilog=epilog,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
