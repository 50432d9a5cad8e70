"""Short messages: the ways out, their URLs, and what they say."""

from __future__ import annotations

import io
from collections.abc import Iterator
from time import monotonic
from uuid import UUID

import pytest
from rich.console import Console
from tests.mail.certificate import Certificate
from tests.mail.gateway import Gateway, hangs_up, running_gateway, says_nothing, talks_nonsense, trickles, trickles_on
from tests.mail.reading import CODE, everywhere
from tests.mail.sink import closed_port

from identity.domain.mails import MailKind
from identity.mail.rendering import render_sms
from identity.mail.sms import SmsUrlInvalid, open_sms
from identity.mail.sms.console import ConsoleSms
from identity.mail.transports import MessageRefused, ServerUnreachable, TemporaryFailure

ID = UUID("0190a1b2-0000-7000-8000-00000000000a")
ADA = "+33612345678"
TEXT = "073651 est votre code de sécurité."


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running_gateway(Gateway()) as gateway:
        yield gateway


def send(gateway: Gateway, timeout: float = 5) -> None:
    open_sms(gateway.url, timeout=timeout).send(ID, ADA, TEXT)


# What is posted.


def test_a_message_is_posted_as_json_with_the_secret_as_a_bearer_token(gateway: Gateway) -> None:
    send(gateway)
    (posted,) = gateway.taken
    assert (posted.method, posted.target) == ("POST", "/sms?from=Acme")
    assert posted.message == {"to": ADA, "text": TEXT, "id": str(ID)}
    assert posted.headers["Authorization"] == "Bearer s3cret"
    assert posted.headers["Content-Type"] == "application/json"
    assert posted.headers["Host"] == f"127.0.0.1:{gateway.port}"


def test_a_secret_is_written_with_escapes_and_may_be_left_out(gateway: Gateway) -> None:
    for secret, header in (("a%40b%3Ac%2F", "Bearer a@b:c/"), ("", None)):
        url = f"http://{secret}{'@' if secret else ''}127.0.0.1:{gateway.port}"
        open_sms(url, timeout=5).send(ID, ADA, TEXT)
        assert gateway.taken[-1].headers.get("Authorization") == header
        assert gateway.taken[-1].target == "/"


def test_a_retry_is_the_same_request(gateway: Gateway) -> None:
    gateway.misbehave = hangs_up
    with pytest.raises(TemporaryFailure, match="lost"):
        send(gateway)
    gateway.misbehave = None
    send(gateway)
    assert gateway.taken[0] == gateway.taken[1]


# What is made of the answer.


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_a_message_taken(gateway: Gateway, status: int) -> None:
    gateway.status = status
    send(gateway)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_gateway_is_asked_again(gateway: Gateway, status: int) -> None:
    gateway.status = status
    with pytest.raises(TemporaryFailure, match=str(status)) as failure:
        send(gateway)
    assert not isinstance(failure.value, ServerUnreachable)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_a_refusal_is_final(gateway: Gateway, status: int) -> None:
    gateway.status = status
    with pytest.raises(MessageRefused, match=str(status)):
        send(gateway)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_is_sent_where_a_redirect_leads(gateway: Gateway, status: int) -> None:
    with running_gateway(Gateway()) as elsewhere:
        gateway.status = status
        gateway.headers = {"Location": elsewhere.url}
        with pytest.raises(TemporaryFailure, match=f"redirects .{status}"):
            send(gateway)
        assert (len(gateway.taken), elsewhere.taken) == (1, [])


@pytest.mark.parametrize("misbehave", [hangs_up, talks_nonsense])
def test_an_answer_that_is_none_leaves_open_what_happened(gateway: Gateway, misbehave: object) -> None:
    gateway.misbehave = misbehave  # type: ignore[assignment]
    with pytest.raises(TemporaryFailure, match="lost") as failure:
        send(gateway)
    assert not isinstance(failure.value, ServerUnreachable)


@pytest.mark.parametrize("misbehave", [says_nothing, trickles])
def test_a_slow_gateway_is_left_after_the_timeout(gateway: Gateway, misbehave: object) -> None:
    """Also one that trickles: no byte of its begins the wait anew."""
    gateway.misbehave = misbehave  # type: ignore[assignment]
    begun = monotonic()
    with pytest.raises(TemporaryFailure, match="too long"):
        send(gateway, timeout=0.3)
    assert monotonic() - begun < 3


def test_a_status_is_enough_however_the_rest_trickles(gateway: Gateway) -> None:
    gateway.misbehave = trickles_on
    begun = monotonic()
    send(gateway, timeout=0.3)
    assert monotonic() - begun < 3


def test_nobody_there_is_unreachable() -> None:
    sms = open_sms(f"http://127.0.0.1:{closed_port()}/", timeout=5)
    for call in (sms.check, lambda: sms.send(ID, ADA, TEXT)):
        with pytest.raises(ServerUnreachable, match="cannot be reached"):
            call()


def test_a_check_connects_and_posts_nothing(gateway: Gateway) -> None:
    open_sms(gateway.url, timeout=5).check()
    assert gateway.taken == []


@pytest.mark.parametrize("status", [400, 500, 302])
def test_no_failure_repeats_a_number_a_code_or_a_secret(gateway: Gateway, status: int) -> None:
    gateway.status = status
    with pytest.raises((TemporaryFailure, MessageRefused)) as failure:
        send(gateway)
    assert not [word for word in (ADA, CODE, "s3cret", "Acme") if word in str(failure.value)]
    assert "s3cret" not in repr(open_sms(gateway.url))
    assert "/sms" not in repr(open_sms(gateway.url))


# Encryption.


def test_https_with_a_trusted_certificate(certificate: Certificate) -> None:
    with running_gateway(Gateway(certificate.server)) as gateway:
        url = f"https://s3cret@localhost:{gateway.port}/sms"
        open_sms(url, timeout=5, tls=certificate.trusting_client).send(ID, ADA, TEXT)
        assert gateway.taken[0].message["to"] == ADA


def test_https_refuses_a_certificate_nobody_vouches_for_or_for_another_host(certificate: Certificate) -> None:
    with running_gateway(Gateway(certificate.server)) as gateway:
        for host, tls in (("localhost", None), ("127.0.0.1", certificate.trusting_client)):
            sms = open_sms(f"https://s3cret@{host}:{gateway.port}/sms", timeout=5, tls=tls)
            with pytest.raises(ServerUnreachable, match="certificate is not trusted"):
                sms.send(ID, ADA, TEXT)
        assert gateway.taken == []


def test_a_trickle_under_tls_ends_too(certificate: Certificate) -> None:
    with running_gateway(Gateway(certificate.server)) as gateway:
        gateway.misbehave = trickles
        sms = open_sms(f"https://localhost:{gateway.port}/", timeout=0.5, tls=certificate.trusting_client)
        with pytest.raises(TemporaryFailure, match="too long"):
            sms.send(ID, ADA, TEXT)


def test_https_on_a_port_without_tls_says_so(gateway: Gateway) -> None:
    with pytest.raises(ServerUnreachable, match="does not speak TLS"):
        open_sms(f"https://s3cret@localhost:{gateway.port}/", timeout=5).check()


# URLs.


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sms.example",
        "ftp://hunter2@sms.example",
        "console://hunter2",
        "console://?hunter2",
        "https:",
        "https://",
        "https:///hunter2",
        "https://hunter2@",
        "https://@sms.example",
        "https://user:hunter2@sms.example",
        "https://:hunter2@sms.example",
        "https://hun/ter2@sms.example",
        "https://hun?ter2@sms.example",
        "https://hun#ter2@sms.example",
        "https://hunter2@sms.example#",
        "https://hunter2@[sms.example",
        "https://hunter2@sms.example:hunter2",
        "https://hunter2@sms.example:0",
        "https://hunter2@sms.example:99999",
        "https://hunter2%0d%0aX: y@sms.example",
        "https://hunter2%C3%A9@sms.example",
        "https://hunter2@sms.example/a path",
        "https://hunter2@sms.example/a\r\npath",
        "https://hunter2@sms.example/é",
        f"https://hunter2@{'a' * 70}.example",
        "http://hunter2@sms.example/sms",
        "http://hunter2@10.0.0.1/sms",
        "http://127.0.0.1.sms.example/hunter2",
        "http://127.0.0.1@sms.example/hunter2",
        "http://localhost.sms.example/hunter2",
    ],
)
def test_a_bad_url_says_what_to_write_and_repeats_nothing(url: str) -> None:
    with pytest.raises(SmsUrlInvalid) as refusal:
        open_sms(url)
    text = str(refusal.value)
    assert "rite " in text or "Set " in text
    assert "SMS URL" in text
    assert "hun" not in text
    assert "ter2" not in text
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "hook"),
    [
        ("https://sms.example", "host='sms.example', port=443, encrypted=True"),
        ("https://s@sms.example:8443/a/b?c=d", "host='sms.example', port=8443, encrypted=True"),
        ("http://127.0.0.1", "host='127.0.0.1', port=80, encrypted=False"),
        ("http://[::1]:8080/", "host='::1', port=8080, encrypted=False"),
        ("http://localhost:1/", "host='localhost', port=1, encrypted=False"),
    ],
)
def test_plain_http_stays_on_loopback(url: str, hook: str) -> None:
    assert hook in repr(open_sms(url))


# On the terminal.


def test_the_terminal_shows_who_and_what() -> None:
    terminal = io.StringIO()
    ConsoleSms(Console(file=terminal, width=60)).send(ID, ADA, "[bold]073651[/bold] is your code.")
    first, text, last = terminal.getvalue().splitlines()
    assert f"SMS to {ADA}" in first
    assert text == "[bold]073651[/bold] is your code."
    assert set(last) == {"─"}


def test_the_console_is_standard_error() -> None:
    transport = open_sms("console://")
    assert isinstance(transport, ConsoleSms)
    assert transport._console.stderr
    transport.check()


# What they say.

GSM_7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)


@everywhere
def test_a_code_is_one_short_line_that_any_phone_shows(locale: str) -> None:
    """At most one message long, in the alphabet of GSM: another one would halve its room."""
    values = {"code": CODE, "name": "Zoë 李", "expires_minutes": "10"}
    text = render_sms(MailKind.SIGN_IN_CODE, locale, values, product_name="A product with quite a long name")
    assert text.startswith(f"{CODE} ")
    assert "10 minu" in text
    assert "A product with quite a long name" in text
    assert set(text) <= GSM_7 - {"\n", "\r"}
    assert len(text) <= 160
    assert "://" not in text


def test_the_languages_of_messages_differ_and_fall_back_to_english() -> None:
    values = {"code": CODE, "name": "", "expires_minutes": "10"}
    texts = {
        locale: render_sms(MailKind.SIGN_IN_CODE, locale, values, product_name="Acme")
        for locale in ("en", "fr-BE", "nl", "de")
    }
    assert len(set(texts.values())) == 3
    assert texts["de"] == texts["en"]
