"""What the steps of the demo share: cluster, clients, screen, and the model that everything is compared with."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule

from dstk_cli.demo.places import Places
from dstk_cli.untrusted import as_markup
from dstk_client import Client
from dstk_keytypes import Key
from dstk_localcluster import LocalCluster

WIDTH = 100


class StepFailedError(Exception):
    """A claim of the demo did not hold."""


@dataclass(slots=True)
class Rate:
    """So many operations in so many seconds."""

    what: str
    count: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Operations a second."""
        return self.count / max(self.seconds, 1e-9)


@dataclass(slots=True)
class Stage:
    """One performance.

    `model` holds every record that the cluster acknowledged and that must therefore be there; `unsure` the keys of
    writes that failed, which may or may not have happened.
    """

    screen: Console
    cluster: LocalCluster
    client: Client
    gateway: Client
    places: Places
    model: dict[Key, bytes]
    unsure: set[Key] = field(default_factory=set)
    rates: list[Rate] = field(default_factory=list)
    checks: int = 0

    def check(self, holds: bool, claim: str) -> None:
        """Shows a claim as held, or ends the demo."""
        if not holds:
            raise StepFailedError(claim)
        self.checks += 1
        self.screen.print(f"  [green]✓[/] {claim}")

    def step(self, title: str) -> None:
        """Begins a step."""
        self.screen.print()
        self.screen.print(Rule(f"[bold]{title}[/]", align="left", style="blue"), width=min(WIDTH, self.screen.width))

    def code(self, text: str) -> None:
        """Shows what a program would write."""
        self.screen.print(f"  [dim]>>>[/] [cyan]{as_markup(text)}[/]")

    def panel(self, text: str, title: str = "") -> None:
        """Shows a result."""
        self.screen.print(Panel(text, title=title or None, title_align="left", expand=False, border_style="dim"))
