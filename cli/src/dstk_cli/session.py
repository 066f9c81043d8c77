"""What every command that talks to a cluster shares: --output, --router, --data-dir and --timeout, declared once."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from rich.console import RenderableType

from dstk_cli import console
from dstk_cli.cluster import OperatorClient, reach
from dstk_cli.command import guarded_async
from dstk_cli.connection import Target, find
from dstk_cli.options import DEFAULT_DATA_DIR, DEFAULT_TIMEOUT, DataDir, Output, OutputFormat, Router, Timeout

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Session:
    """One call of a command: the form of its output, and the cluster that its options name.

    That is a router's address, or the directory of a local cluster. `timeout` is in seconds.
    """

    output: OutputFormat
    router: str | None
    data_dir: Path
    timeout: float

    @property
    def is_json(self) -> bool:
        """Whether the output is for programs."""
        return self.output is OutputFormat.JSON

    def target(self) -> Target:
        """The router to talk to. Raises CliError if no router is named and no local cluster is up."""
        return find(self.router, self.data_dir, self.timeout)

    def cluster(self) -> AbstractAsyncContextManager[OperatorClient]:
        """The operators' service of the router. Raises CliError."""
        return reach(self.target())

    def show(self, result: Mapping[str, Any], *lines: RenderableType, note: str = "") -> None:
        """Prints the result as one JSON object, or else the lines, and the note on standard error. Strings are Rich markup."""
        console.show(result, *lines, note=note, as_json=self.is_json)


def connected(
    timeout: float = DEFAULT_TIMEOUT, *, output: bool = True
) -> Callable[[Callable[Concatenate[Session, P], Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Makes a command of a coroutine function, as `guarded_async` does, and gives it the options of a Session.

    The function gets the Session as its first argument. `timeout` is the default of --timeout, in seconds; without `output` the
    command has no --output, or its own.
    """

    def decorate(body: Callable[Concatenate[Session, P], Coroutine[Any, Any, None]]) -> Callable[..., None]:
        options = {name: option for name, option in _options(timeout).items() if output or name != "output"}

        @functools.wraps(body)
        async def command(*args: P.args, **kwargs: P.kwargs) -> None:
            chosen: dict[str, Any] = {name: kwargs.pop(name) for name in options}
            await body(Session(**{"output": OutputFormat.TABLE, **chosen}), *args, **kwargs)

        made = guarded_async(command)
        own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
        made.__signature__ = inspect.Signature([*own, *options.values()])  # type: ignore[attr-defined]
        return made

    return decorate


def _options(timeout: float) -> dict[str, inspect.Parameter]:
    """The parameters that Typer reads, which stand behind those of the command."""
    options: tuple[tuple[str, Any, Any], ...] = (
        ("output", Output, OutputFormat.TABLE),
        ("router", Router, None),
        ("data_dir", DataDir, DEFAULT_DATA_DIR),
        ("timeout", Timeout, timeout),
    )
    keyword = inspect.Parameter.KEYWORD_ONLY
    return {name: inspect.Parameter(name, keyword, default=default, annotation=kind) for name, kind, default in options}
