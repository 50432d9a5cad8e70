from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.mail.certificate import Certificate, self_signed
from tests.mail.rig import Outbox, Rig
from tests.mail.sink import Sink, running

from identity.store.database import open_database
from identity.store.tables import metadata, outbox


@pytest.fixture(autouse=True)
def _no_name_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name in EHLO comes from DNS, which a test must not wait for."""
    monkeypatch.setattr("socket.getfqdn", lambda name="": "client.test")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running(Sink()) as sink:
        yield sink


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    database = open_database(f"sqlite:///{tmp_path}/outbox.db", Outbox)
    database.write(lambda tx: metadata.create_all(tx.connection, tables=[outbox]))
    yield Rig(database)
    database.close()
