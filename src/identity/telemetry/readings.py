"""Numbers that the rooms know anyway, asked for when somebody scrapes and not before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from identity.domain.errors import DomainError
from identity.telemetry.families import Family, Kind

Read = Callable[[], float | Mapping[str, float] | None]
"""A number, one for each value of the family's label, or None as long as there is none."""


class Readings(Collector):
    """Families with what tells their numbers. One that cannot tell now, for want of the database, is left out."""

    def __init__(self, reads: Mapping[Family, Read]) -> None:
        self._reads = reads

    def collect(self) -> Iterator[Metric]:
        """The numbers of this moment, as a registry asks for them."""
        for family, read in self._reads.items():
            try:
                value = read()
            except DomainError:
                continue
            if value is not None:
                yield _metric(family, value if isinstance(value, Mapping) else {"": value})


def _metric(family: Family, values: Mapping[str, float]) -> Metric:
    make = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    metric = make(family.name, family.help, labels=family.labels)
    for label, value in values.items():
        metric.add_metric((label,) if family.labels else (), value)
    return metric
