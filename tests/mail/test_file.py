from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import pytest
from tests.mail.test_smtp import ADA, SENDER, mail

from identity.mail.transports import TemporaryFailure, open_transport


def dated() -> EmailMessage:
    message = mail()
    message["Date"] = datetime(2026, 3, 12, 14, 3, tzinfo=UTC)
    message["Message-ID"] = "<0190a1b2-7c3d@id.example>"
    return message


def test_a_mail_is_one_file_named_by_time_and_message_id(tmp_path: Path) -> None:
    transport = open_transport(f"file://{tmp_path}/new/mails%20here")
    transport.send(dated(), SENDER, ADA)
    transport.send(dated(), SENDER, ADA)
    (file,) = (tmp_path / "new" / "mails here").iterdir()
    assert file.name == "20260312T140300Z-0190a1b2-7c3d.eml"
    received = BytesParser(policy=default).parsebytes(file.read_bytes())
    assert received["To"] == ADA
    assert b"\r\n" in file.read_bytes()


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    open_transport(f"file://{tmp_path}/mails").send(dated(), SENDER, ADA)
    (file,) = (tmp_path / "mails").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_hostile_message_id_stays_in_the_directory(tmp_path: Path) -> None:
    message = dated()
    del message["Message-ID"]
    message["Message-ID"] = "<../../out@id.example>"
    open_transport(f"file://{tmp_path}/mails").send(message, SENDER, ADA)
    assert [file.name for file in (tmp_path / "mails").iterdir()] == ["20260312T140300Z-.._.._out.eml"]


def test_a_write_that_fails_is_temporary_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TemporaryFailure, match="No space left"):
        open_transport(f"file://{tmp_path}").send(dated(), SENDER, ADA)
    assert list(tmp_path.iterdir()) == []


def test_check_finds_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TemporaryFailure):
        open_transport(f"file://{tmp_path}/file/mails").check()
    open_transport(f"file://{tmp_path}/mails").check()
