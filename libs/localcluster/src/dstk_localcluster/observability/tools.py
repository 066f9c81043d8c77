"""Which of the programs that watch a cluster are on PATH."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dstk_localcluster.directory import ALERTMANAGER, JAEGER, PROMETHEUS
from dstk_localcluster.environment import on_path
from dstk_localcluster.errors import LocalClusterError


@dataclass(frozen=True, slots=True)
class Tool:
    """`commands`: the names that the program has, the usual one first. `source`: where to get it."""

    commands: tuple[str, ...]
    source: str


TOOLS: Mapping[str, Tool] = {
    PROMETHEUS: Tool(("prometheus",), "https://prometheus.io/download"),
    ALERTMANAGER: Tool(
        ("alertmanager", "prometheus-alertmanager"), "https://prometheus.io/download"
    ),  # Debian renames it
    JAEGER: Tool(
        ("jaeger",), "https://www.jaegertracing.io/download"
    ),  # version 2: those of version 1 have other names
}
"""By the name of the process, in the order in which they start."""


def found() -> dict[str, str]:
    """Returns the path of each program that is on PATH, by the name of its process."""
    paths = {name: next(filter(None, map(on_path, tool.commands)), None) for name, tool in TOOLS.items()}
    return {name: path for name, path in paths.items() if path}


def required() -> dict[str, str]:
    """Returns what `found` does. Raises `LocalClusterError` when it is nothing."""
    if paths := found():
        return paths
    raise LocalClusterError(
        "none of prometheus, alertmanager and jaeger is on PATH", f"get at least one: {sources(TOOLS)}"
    )


def missing() -> str:
    """Returns a line about the programs that are not on PATH, with where to get them; empty: all are."""
    names = sorted(TOOLS.keys() - found().keys(), key=[*TOOLS].index)
    return f"not on PATH, and not started: {', '.join(names)}; available from {sources(names)}" if names else ""


def sources(names: Iterable[str]) -> str:
    """Returns where to get these programs."""
    return ", ".join(dict.fromkeys(TOOLS[name].source for name in names))
