"""`identity check` finds what is wrong, says it in words, and changes no data."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.certificates import Authority, Pair
from tests.cli.command import call, free_address

from identity.cli import check


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place, and a machine on which a hash takes a tenth of a second."""
    place = tmp_path / "data"
    monkeypatch.setenv("IDENTITY_DATA_DIR", str(place))
    monkeypatch.setattr(check, "measure", lambda cost: 0.1)
    return place


def test_nothing_is_wrong_with_a_new_place(data_dir: Path) -> None:
    result = call("check")

    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "Nothing is wrong.")
    assert "the service makes it when it starts" in result.output
    assert not data_dir.exists()


def test_nothing_is_wrong_with_a_place_in_use() -> None:
    call("migrate")
    call("keys", "rotate")

    result = call("check")

    assert result.exit_code == 0
    assert "its schema is up to date, and the secret fits" in result.output


def test_a_relay_that_is_away_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_MAIL_URL", f"smtp://somebody:hunter2@{free_address()}")

    result = call("check")

    assert result.exit_code == 1
    assert "wrong Mail: smtp://127.0.0.1:" in result.output
    assert "1 thing(s) to mend." in result.output
    assert "hunter2" not in result.output


def test_a_secret_that_is_gone_is_wrong_and_none_is_made(data_dir: Path) -> None:
    call("migrate")
    call("keys", "rotate")
    (data_dir / "secret").unlink()

    result = call("check")

    assert result.exit_code == 1
    assert "is gone" in result.output
    assert not (data_dir / "secret").exists()


def test_another_secret_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    call("migrate")
    call("keys", "rotate")
    monkeypatch.setenv("IDENTITY_SECRET", "another secret, and long enough")
    monkeypatch.setenv("IDENTITY_SECRET", "another secret, long enough to be one")

    result = call("check")

    assert result.exit_code == 1
    assert "wrong Secret: it is not the one" in result.output


def test_a_schema_that_is_behind_is_wrong(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir.mkdir()
    (data_dir / "identity.db").touch()
    monkeypatch.setenv("IDENTITY_SECRET", "x" * 32)

    result = call("check")

    assert result.exit_code == 1
    assert "Run: identity migrate" in result.output


def test_a_database_that_is_away_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_DATABASE_URL", "postgresql://identity:hunter2@127.0.0.1:1/identity")
    monkeypatch.setenv("IDENTITY_SECRET", "x" * 32)

    result = call("check")

    assert result.exit_code == 1
    assert "wrong Database: postgresql://127.0.0.1:1/identity is out of reach" in result.output
    assert "hunter2" not in result.output


@pytest.mark.parametrize(("cost", "advice"), [("11", "IDENTITY_BCRYPT_COST=10 halves it"), ("10", "it is the floor")])
def test_a_slow_hash_is_worth_a_look(cost: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no fault: people sign in, only fewer at a time (PW-05)."""
    monkeypatch.setenv("IDENTITY_BCRYPT_COST", cost)
    monkeypatch.setattr(check, "measure", lambda cost: 0.3)

    result = call("check")

    assert result.exit_code == 0
    assert "takes 300 ms here" in result.output
    assert advice in result.output


def test_the_hash_is_really_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    result = call("check")

    assert "Hashing: cost 11 takes " in result.output


def test_certificates_are_looked_at_before_they_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TR-01: how long they last, whether key and certificate fit, and who is asked for one."""
    authority = Authority(tmp_path)
    other = authority.sign("other")

    def check_with(pair: Pair, **files: Path) -> tuple[int, str]:
        given = {"certificate": pair.certificate, "key": pair.key, "client_ca": authority.certificate, **files}
        for name, path in given.items():
            monkeypatch.setenv(f"IDENTITY_TLS_{name.upper()}", str(path))
        result = call("check")
        return result.exit_code, result.output

    for lasts, level, code in ((60, "ok   ", 0), (7, "look ", 0), (-1, "wrong", 1)):
        exit_code, output = check_with(authority.sign("id.example.org", lasts=timedelta(days=lasts)))

        assert (exit_code, f"{level} TLS: the certificate for id.example.org ends on" in output) == (code, True)
        assert f"ok    TLS: clients need a certificate signed by {authority.certificate}" in output
    exit_code, output = check_with(authority.sign("id.example.org"), key=other.key)
    assert exit_code == 1
    assert f"wrong TLS: {other.key} is not the key" in output


def test_a_collector_that_is_away_is_worth_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no fault: the service runs, and only the traces are lost."""
    monkeypatch.setenv("IDENTITY_OTLP_ENDPOINT", f"http://{free_address()}")

    result = call("check")

    assert result.exit_code == 0
    assert "look  Traces: http://127.0.0.1:" in result.output


def test_a_misspelt_variable_is_worth_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_MAILURL", "smtp://relay")

    result = call("check")

    assert result.exit_code == 0
    assert "IDENTITY_MAILURL is no setting; perhaps IDENTITY_MAIL_URL is meant" in result.output


def test_settings_that_cannot_be_read_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_BCRYPT_COST", "nine")

    result = call("check")

    assert result.exit_code == 2
    assert "IDENTITY_BCRYPT_COST" in result.output
