"""Signing keys, listed and rotated from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.command import call


@pytest.fixture(autouse=True)
def _a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_DATA_DIR", str(tmp_path / "data"))
    assert call("migrate").exit_code == 0


def _listed() -> list[tuple[str, str]]:
    """Each key's id and what it does now, in the order of the list."""
    title, *rows = call("keys", "list").output.splitlines()
    assert title.split()[:3] == ["KEY", "ALGORITHM", "NOW"]
    return [(row.split()[0], row.split()[2]) for row in rows]


def test_a_new_place_has_no_keys() -> None:
    result = call("keys", "list")

    assert result.exit_code == 0
    assert "no keys yet" in result.output


def test_the_first_key_signs_at_once() -> None:
    assert call("keys", "rotate").exit_code == 0

    assert [role for _, role in _listed()] == ["signs"]


def test_rotating_publishes_a_key_before_it_signs() -> None:
    call("keys", "rotate")
    [(first, _)] = _listed()

    result = call("keys", "rotate")

    assert "signs from" in result.output
    assert [role for _, role in _listed()] == ["next", "signs"]
    assert _listed()[1][0] == first


def test_rotating_now_drops_every_older_key() -> None:
    call("keys", "rotate")
    [(first, _)] = _listed()

    result = call("keys", "rotate", "--now")

    [(second, role)] = _listed()
    assert role == "signs"
    assert second != first
    assert second in result.output


def test_a_schema_that_is_behind_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_DATA_DIR", str(tmp_path / "other"))

    result = call("keys", "list")

    assert result.exit_code == 2
    assert "Run: identity migrate" in result.output
