"""Service keys, made and ended from the command line (JW-05)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.command import call
from tests.logs import captured_log


@pytest.fixture(autouse=True)
def _a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("IDENTITY_DATA_DIR", str(tmp_path / "data"))
    with captured_log():  # the command sets a log up, on a stream that is gone with it
        assert call("migrate").exit_code == 0
        yield


def test_a_key_has_a_name_of_its_own_and_scopes_that_there_are() -> None:
    assert call("service-key", "create", "gateway", "--scope", "session:watch").exit_code == 0
    for name, scope, why in (
        ("gateway", "session:watch", "There is a service key named 'gateway' already."),
        ("other", "session:steal", "one or more of these scopes"),
    ):
        refused = call("service-key", "create", name, "--scope", scope)
        assert refused.exit_code == 2
        assert why in " ".join(refused.output.split())
    assert "other" not in call("service-key", "list").output


def test_a_key_ends_once() -> None:
    call("service-key", "create", "gateway", "--scope", "session:watch")
    assert "is revoked" in call("service-key", "revoke", "gateway").output
    for name in ("gateway", "nobody"):
        refused = call("service-key", "revoke", name)
        assert refused.exit_code == 2
        assert f"no live service key named '{name}'" in " ".join(refused.output.split())
