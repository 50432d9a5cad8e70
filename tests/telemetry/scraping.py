"""Metrics as Prometheus reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.request import urlopen

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from tests.running import Running


class Scrape:
    """What one look at the metrics gave."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: dict[str, Metric] = {family.name: family for family in text_string_to_metric_families(text)}

    @property
    def series(self) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        """Every series there is, whatever its value."""
        samples = [sample for family in self.families.values() for sample in family.samples]
        return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples}

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels; 0 without any."""
        samples = [sample for family in self.families.values() for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def labels(self, name: str) -> Mapping[str, str]:
        """The labels of the one sample of this name."""
        (found,) = (
            sample.labels for family in self.families.values() for sample in family.samples if family.name == name
        )
        return found


async def scrape(service: Running) -> Scrape:
    """Look at the metrics of a service."""
    return Scrape(await asyncio.to_thread(fetch, f"http://{service.service.metrics_address}/metrics"))


def fetch(url: str) -> str:
    with urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())
