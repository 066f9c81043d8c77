"""What a program exports, against what rules and panels read of it."""

import urllib.request
from collections.abc import Iterable

from dstk_observability.external import External
from dstk_telemetry.registry.kinds import Kind


def lines_of(address: str) -> list[str]:
    """The exposition of a program at host:port. Raises OSError."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        return str(response.read().decode()).splitlines()


def missing(family: External, lines: Iterable[str]) -> list[str]:
    """What the exposition lacks of a family: all of it, a label or, of a histogram, a bound."""
    told = [line for line in lines if not line.startswith("#")]
    name = f"{family.name}_bucket" if family.kind is Kind.HISTOGRAM else family.name
    wanted = [f"{label}=" for label in family.label_names]
    if family.kind is Kind.HISTOGRAM:
        wanted += [f'le="{bound:g}"' for bound in family.buckets]
    series = [line for line in told if line.startswith((f"{name}{{", f"{name} "))]
    return [each for each in wanted if not any(each in line for line in series)] if series else [family.name]
