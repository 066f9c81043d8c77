"""The options of every command that talks to a cluster, declared once: --router, --data-dir, --timeout."""

import functools
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from dstk_cli.command import guarded_async
from dstk_cli.connection import Target, find
from dstk_cli.options import DEFAULT_DATA_DIR, DEFAULT_TIMEOUT, DataDir, Router, Timeout

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Connection:
    """The cluster that the options name: a router's address, or the directory of a local cluster; `timeout` is in seconds."""

    router: str | None
    data_dir: Path
    timeout: float

    def target(self) -> Target:
        """The router to talk to. Raises CliError if no router is named and no local cluster is up."""
        return find(self.router, self.data_dir, self.timeout)


def connected(
    timeout: float = DEFAULT_TIMEOUT,
) -> Callable[[Callable[Concatenate[Connection, P], Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Makes a command of a coroutine function, as `guarded_async` does, and gives it the connection options.

    The function gets the Connection as its first argument. `timeout` is the default of --timeout, in seconds.
    """

    def decorate(body: Callable[Concatenate[Connection, P], Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(body)
        async def command(
            router: str | None, data_dir: Path, timeout: float, *args: P.args, **kwargs: P.kwargs
        ) -> None:
            await body(Connection(router, data_dir, timeout), *args, **kwargs)

        made = guarded_async(command)
        made.__signature__ = _with_options(inspect.signature(body, eval_str=True), timeout)  # type: ignore[attr-defined]
        return made

    return decorate


def _with_options(signature: inspect.Signature, timeout: float) -> inspect.Signature:
    """The signature that Typer reads: the connection options in place of the Connection, behind all others."""
    options = (("router", Router, None), ("data_dir", DataDir, DEFAULT_DATA_DIR), ("timeout", Timeout, timeout))
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, kind, default in options
    ]
    return signature.replace(parameters=[*list(signature.parameters.values())[1:], *added])
