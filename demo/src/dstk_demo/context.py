"""What the steps of the demo share: the cluster, its clients, the screen, and the model that the data is compared with."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule

from dstk_cli.untrusted import as_markup
from dstk_client import Client
from dstk_demo.places import Places
from dstk_keytypes import Key
from dstk_localcluster import LocalCluster

WIDTH = 100


class ClaimFailedError(Exception):
    """A claim of the demo does not hold."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of operations and the seconds that they took."""

    what: str
    count: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Operations a second."""
        return self.count / max(self.seconds, 1e-9)


@dataclass(slots=True)
class Demo:
    """One run of the demo.

    `model` holds every record that the cluster acknowledged and that must therefore exist; `ambiguous` holds the keys of writes
    that failed and may or may not have been applied.
    """

    screen: Console
    cluster: LocalCluster
    client: Client
    gateway: Client
    places: Places
    model: dict[Key, bytes]
    ambiguous: set[Key] = field(default_factory=set)
    rates: list[Rate] = field(default_factory=list)
    claims: int = 0

    def claim(self, holds: bool, text: str) -> None:
        """Shows a claim that holds. Raises `ClaimFailedError` for one that does not."""
        if not holds:
            raise ClaimFailedError(text)
        self.claims += 1
        self.screen.print(f"  [green]✓[/] {text}")

    def step(self, title: str) -> None:
        """Begins a step."""
        self.screen.print()
        self.screen.print(Rule(f"[bold]{title}[/]", align="left", style="blue"), width=min(WIDTH, self.screen.width))

    def code(self, text: str) -> None:
        """Shows a line of code."""
        self.screen.print(f"  [dim]>>>[/] [cyan]{as_markup(text)}[/]")

    def panel(self, text: str) -> None:
        """Shows a result in a frame."""
        self.screen.print(Panel(text, expand=False, border_style="dim"))
