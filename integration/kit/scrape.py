"""Reads the figures of a process as Prometheus does."""

import asyncio
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.error import HTTPError

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Figures:
    """What one scrape has found."""

    families: Sequence[Metric]

    @property
    def names(self) -> set[str]:
        """Of the families, as the registry spells them."""
        return {f"{each.name}_total" if each.type == "counter" else each.name for each in self.families}

    def sum(self, name: str, **labels: str) -> float:
        """Of all series with this name and these labels, among others."""
        return sum(
            sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


async def answer(address: str, path: str) -> tuple[int, str]:
    """Status and body of an operations server's answer."""

    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=60) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(ask)


async def scrape(address: str) -> Figures:
    """The figures of the process whose operations server is there."""
    status, text = await answer(address, "/metrics")
    assert status == 200, f"{address}: {status} {text}"
    return Figures(list(text_string_to_metric_families(text)))
