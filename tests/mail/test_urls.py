from __future__ import annotations

import pytest

from identity.mail.transports import MailUrlInvalid, open_transport
from identity.mail.transports.console import ConsoleTransport
from identity.mail.transports.file import FileTransport
from identity.mail.transports.smtp import SmtpTransport


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("console://", ConsoleTransport),
        ("file:///var/mails", FileTransport),
        ("smtp://localhost", SmtpTransport),
        ("smtps://mail.example", SmtpTransport),
    ],
)
def test_the_scheme_picks_the_transport(url: str, kind: type) -> None:
    assert isinstance(open_transport(url), kind)


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://mail.example", "host='mail.example', port=587, encryption=<Encryption.REQUIRED: 'required'>"),
        ("smtp://mail.example:25/", "host='mail.example', port=25, encryption=<Encryption.REQUIRED: 'required'>"),
        ("smtp://mail.example?starttls=off", "port=587, encryption=<Encryption.OFF: 'off'>"),
        ("smtp://mail.example?starttls=if-offered", "port=587, encryption=<Encryption.IF_OFFERED: 'if-offered'>"),
        ("smtps://mail.example", "port=465, encryption=<Encryption.IMPLICIT: 'implicit'>"),
        ("smtp://127.0.0.1:25", "host='127.0.0.1', port=25, encryption=<Encryption.OFF: 'off'>"),
        ("smtp://[::1]", "host='::1', port=587, encryption=<Encryption.OFF: 'off'>"),
        ("smtp://localhost?starttls=required", "encryption=<Encryption.REQUIRED: 'required'>"),
    ],
)
def test_encryption_is_the_default_except_on_loopback(url: str, relay: str) -> None:
    assert relay in repr(open_transport(url))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example",
        "hunter2://mail.example",
        "u:hunter2@mail.example",
        "console://hunter2",
        "console://?hunter2",
        "file://mails",
        "file:mails",
        "file:///",
        "file:///mails?hunter2",
        "smtp:",
        "smtp://",
        "smtp:/u:hunter2@mail.example",
        "smtp://u:hun/ter2@mail.example",
        "smtp://u:hun?ter2@mail.example",
        "smtp://u:hun#ter2@mail.example",
        "smtp://u:hunter2@[mail.example",
        "smtp://u:hunter2@mail.example:hunter2",
        "smtp://u:hunter2@mail.example:99999",
        "smtp://u:hunter2@mail.example:0",
        "smtp://u:hunter2@mail.example/path",
        "smtp://u:hunter2@mail.example?starttls=hunter2",
        "smtp://u:hunter2@mail.example?tls=off",
        "smtp://u:hunter2@mail.example?starttls=off&starttls=required",
        "smtp://u:hunter2@mail.example?starttls=off",
        "smtp://u:hunter2@mail.example?starttls=if-offered",
        "smtp://u:hunter2%C3%A9@mail.example",
        "smtp://u:hunter2%0d%0a@mail.example",
        "smtp://u@mail.example",
        "smtp://:hunter2@mail.example",
        f"smtp://u:hunter2@{'a' * 70}.example",
        "smtps://u:hunter2@mail.example?starttls=off",
    ],
)
def test_a_bad_url_says_what_to_write_and_repeats_nothing(url: str) -> None:
    with pytest.raises(MailUrlInvalid) as refusal:
        open_transport(url)
    text = str(refusal.value)
    assert "rite " in text or "Set " in text or "Remove " in text
    assert "hun" not in text.replace("unencrypted", "")
    assert "ter2" not in text
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_no_credential_shows_in_a_repr() -> None:
    transport = open_transport("smtp://robot:hun%40ter2@mail.example")
    assert "ter2" not in repr(transport)
    assert "robot" not in repr(transport)
    assert "ter2" not in repr(vars(transport))
