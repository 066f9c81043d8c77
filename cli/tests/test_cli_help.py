"""What `dstk` says about itself."""

import pytest
from typer.testing import CliRunner

from dstk_cli.main import app

COMMANDS = [
    "put",
    "get",
    "delete",
    "scan",
    "load",
    "nodes",
    "partitions",
    "controller",
    "doctor",
    "split",
    "demo",
    "top",
    "hot",
    "heatmap",
    "count",
    "splits",
]
GROUPS = {
    "local": ["up", "status", "down"],
    "nodes": ["list", "cordon", "uncordon", "drain", "remove", "replace"],
    "partitions": ["list", "show", "split", "merge", "move", "transfer", "repair"],
    "controller": ["status", "plan", "pause", "resume", "set", "events"],
}


def test_help_names_every_command_and_a_first_step() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert all(command in shown for command in [*COMMANDS, "local"])
    assert "dstk local up --detach" in shown


@pytest.mark.parametrize(
    "arguments", [[command] for command in COMMANDS] + [[group, it] for group, its in GROUPS.items() for it in its]
)
def test_every_command_explains_itself(arguments: list[str]) -> None:
    shown = CliRunner().invoke(app, [*arguments, "--help"])
    assert shown.exit_code == 0
    assert "Usage: dstk" in shown.stdout.replace("Usage: root", "Usage: dstk")


@pytest.mark.parametrize(
    "command",
    [
        *("put", "get", "scan", "load", "nodes", "partitions", "controller", "doctor"),
        *("top", "hot", "heatmap", "count", "splits"),
    ],
)
def test_commands_with_many_options_teach_by_example(command: str) -> None:
    assert f"dstk {command} " in CliRunner().invoke(app, [command, "--help"]).stdout.split("Examples")[1]


@pytest.mark.parametrize("group", list(GROUPS))
def test_a_group_names_its_commands(group: str) -> None:
    shown = CliRunner().invoke(app, [group, "-h"]).stdout
    assert all(command in shown for command in GROUPS[group])


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("dstk 0.")


def test_a_mistyped_command_is_a_usage_error_that_names_the_nearest() -> None:
    answer = CliRunner().invoke(app, ["gte"])
    assert answer.exit_code == 2
    assert "Did you mean 'get'" in answer.stderr
