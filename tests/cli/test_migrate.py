"""The schema, looked at and brought up to date from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.command import call


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "data"
    monkeypatch.setenv("IDENTITY_DATA_DIR", str(place))
    return place


def test_looking_changes_nothing_and_says_what_is_missing(data_dir: Path) -> None:
    result = call("migrate", "--check")

    assert result.exit_code == 1
    assert "Run: identity migrate" in result.output
    assert not data_dir.exists()


def test_migrating_takes_every_step_once() -> None:
    assert call("migrate").output.startswith("Took ")
    assert call("migrate").output == "The schema was up to date.\n"

    result = call("migrate", "--check")

    assert (result.exit_code, result.output) == (0, "The schema is up to date.\n")
