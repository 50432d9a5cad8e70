from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.mail.sink import Sink, running


@pytest.fixture(autouse=True)
def _no_name_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name in EHLO comes from DNS, which a test must not wait for."""
    monkeypatch.setattr("socket.getfqdn", lambda name="": "client.test")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running(Sink()) as sink:
        yield sink
