from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from time import monotonic

import pytest
from tests.mail.certificate import Certificate
from tests.mail.sink import Mode, Sink, closed_port, running

from identity.mail.transports import (
    MessageRefused,
    RecipientRefused,
    ServerUnreachable,
    TemporaryFailure,
    Transport,
    open_transport,
)

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

SENDER, ADA = "no-reply@id.example", "ada@example.org"


def mail(subject: str = "Hello", body: str = "Hello Ada\n.\n") -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, SENDER, ADA
    message.set_content(body)
    return message


@pytest.fixture
def transport(sink: Sink) -> Iterator[Transport]:
    transport = open_transport(sink.url, timeout=5)
    yield transport
    transport.close()


def test_a_mail_arrives_whole(sink: Sink, transport: Transport) -> None:
    transport.send(mail(), SENDER, ADA)
    (envelope,) = sink.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, [ADA])
    assert isinstance(envelope.content, bytes)
    received = BytesParser(policy=default).parsebytes(envelope.content)
    assert isinstance(received, EmailMessage)
    assert received["Subject"] == "Hello"
    assert received.get_content().splitlines() == ["Hello Ada", "."]


def test_one_connection_serves_a_batch(sink: Sink, transport: Transport) -> None:
    for _ in range(3):
        transport.send(mail(), SENDER, ADA)
    assert (len(sink.taken), sink.connections) == (3, 1)


def test_F_12_a_refused_connection_is_the_servers_fault(sink: Sink) -> None:
    transport = open_transport(f"smtp://127.0.0.1:{closed_port()}", timeout=5)
    with pytest.raises(ServerUnreachable, match="cannot be reached"):
        transport.send(mail(), SENDER, ADA)


def test_F_12_a_busy_server_is_temporary(sink: Sink, transport: Transport) -> None:
    sink.mode = Mode.BUSY
    with pytest.raises(TemporaryFailure, match="451") as failure:
        transport.send(mail(), SENDER, ADA)
    assert not isinstance(failure.value, ServerUnreachable)


def test_F_12_a_recipient_that_is_busy_is_temporary(sink: Sink, transport: Transport) -> None:
    sink.recipients[ADA] = "450 Greylisted"
    with pytest.raises(TemporaryFailure, match="450"):
        transport.send(mail(), SENDER, ADA)


def test_F_12_one_refused_recipient_leaves_the_connection_to_the_others(sink: Sink, transport: Transport) -> None:
    sink.recipients["gone@example.org"] = "550 No such user gone@example.org"
    with pytest.raises(RecipientRefused, match="550") as refusal:
        transport.send(mail(), SENDER, "gone@example.org")
    transport.send(mail(), SENDER, ADA)
    assert (len(sink.taken), sink.connections) == (1, 1)
    assert "gone@example.org" not in str(refusal.value)


def test_F_12_a_refused_message_is_permanent(sink: Sink, transport: Transport) -> None:
    sink.mode = Mode.REFUSE_MESSAGE
    with pytest.raises(MessageRefused, match="554"):
        transport.send(mail(), SENDER, ADA)


def test_a_server_that_wants_encryption_refuses_no_mail_for_good(sink: Sink, transport: Transport) -> None:
    sink.recipients[ADA] = "530 Must issue a STARTTLS command first"
    with pytest.raises(TemporaryFailure, match="530"):
        transport.send(mail(), SENDER, ADA)


def test_a_server_that_wants_a_login_refuses_no_mail_for_good(sink: Sink) -> None:
    sink.wants_login = True
    transport = open_transport(sink.url, timeout=5)
    with pytest.raises(TemporaryFailure, match="530"):
        transport.send(mail(), SENDER, ADA)
    transport.close()


def test_F_12_a_tarpit_costs_no_more_than_the_timeout(sink: Sink) -> None:
    sink.mode = Mode.TARPIT
    transport = open_transport(sink.url, timeout=0.2)
    begin = monotonic()
    with pytest.raises(TemporaryFailure):
        transport.send(mail(), SENDER, ADA)
    assert monotonic() - begin < 3
    sink.mode = Mode.ACCEPT
    transport.send(mail(), SENDER, ADA)
    assert (len(sink.taken), sink.connections) == (1, 2)
    transport.close()


@pytest.mark.parametrize("mode", [Mode.CLOSE_AFTER_DATA, Mode.CLOSE_AT_RECIPIENT])
def test_F_12_a_connection_that_breaks_is_temporary_and_the_next_mail_gets_a_new_one(
    sink: Sink, transport: Transport, mode: Mode
) -> None:
    sink.mode = mode
    with pytest.raises(TemporaryFailure) as failure:
        transport.send(mail(), SENDER, ADA)
    assert not isinstance(failure.value, ServerUnreachable)
    assert len(sink.taken) == (mode is Mode.CLOSE_AFTER_DATA)
    sink.mode = Mode.ACCEPT
    transport.send(mail(), SENDER, ADA)
    assert sink.connections == 2


def test_a_connection_that_died_while_idle_is_replaced(sink: Sink, transport: Transport) -> None:
    transport.send(mail(), SENDER, ADA)
    sink.hang_up_all()
    transport.send(mail(), SENDER, ADA)
    assert (len(sink.taken), sink.connections) == (2, 2)


def test_an_address_outside_ascii_travels_by_smtputf8(sink: Sink, transport: Transport) -> None:
    transport.send(mail(), SENDER, "zoë@example.org")
    assert sink.taken[0].rcpt_tos == ["zoë@example.org"]


def test_an_address_outside_ascii_is_refused_where_the_server_cannot(sink: Sink, transport: Transport) -> None:
    sink.utf8 = False
    with pytest.raises(RecipientRefused, match="SMTPUTF8"):
        transport.send(mail(), SENDER, "zoë@example.org")


def test_credentials_are_decoded_and_used(sink: Sink) -> None:
    sink.wants_login = True
    transport = open_transport(f"smtp://robot:right%20p%40ss@127.0.0.1:{sink.port}", timeout=5)
    transport.send(mail(), SENDER, ADA)
    transport.close()
    assert sink.logins == ["robot:right p@ss"]


def test_wrong_credentials_are_the_servers_fault_and_stay_secret(sink: Sink) -> None:
    transport = open_transport(f"smtp://robot:hunter2@127.0.0.1:{sink.port}", timeout=5)
    with pytest.raises(ServerUnreachable, match="user name and password") as failure:
        transport.check()
    assert "hunter2" not in str(failure.value)
    assert failure.value.__suppress_context__


# Encryption.


@pytest.fixture
def starttls_sink(certificate: Certificate) -> Iterator[Sink]:
    sink = Sink()
    sink.starttls = certificate.server
    with running(sink):
        yield sink


@pytest.fixture
def smtps_sink(certificate: Certificate) -> Iterator[Sink]:
    sink = Sink()
    sink.implicit_tls = certificate.server
    with running(sink):
        yield sink


@pytest.mark.parametrize("mode", ["required", "if-offered"])
def test_starttls_with_a_trusted_certificate(starttls_sink: Sink, certificate: Certificate, mode: str) -> None:
    url = f"smtp://localhost:{starttls_sink.port}?starttls={mode}"
    transport = open_transport(url, timeout=5, tls=certificate.trusting_client)
    transport.send(mail(), SENDER, ADA)
    transport.close()
    assert starttls_sink.encrypted == [True]


@pytest.mark.parametrize("mode", ["required", "if-offered"])
def test_starttls_refuses_a_certificate_nobody_vouches_for(starttls_sink: Sink, mode: str) -> None:
    transport = open_transport(f"smtp://localhost:{starttls_sink.port}?starttls={mode}", timeout=5)
    with pytest.raises(ServerUnreachable, match="certificate is not trusted"):
        transport.send(mail(), SENDER, ADA)
    assert starttls_sink.taken == []


def test_a_certificate_for_another_host_is_refused(starttls_sink: Sink, certificate: Certificate) -> None:
    url = f"smtp://127.0.0.1:{starttls_sink.port}?starttls=required"
    transport = open_transport(url, timeout=5, tls=certificate.trusting_client)
    with pytest.raises(ServerUnreachable, match="certificate is not trusted"):
        transport.send(mail(), SENDER, ADA)


def test_nothing_is_sent_in_the_clear_where_starttls_is_required(sink: Sink) -> None:
    transport = open_transport(f"smtp://robot:right%20p%40ss@127.0.0.1:{sink.port}?starttls=required", timeout=5)
    with pytest.raises(ServerUnreachable, match=r"starttls=off"):
        transport.send(mail(), SENDER, ADA)
    assert (sink.logins, sink.taken) == ([], [])


def test_if_offered_does_without(sink: Sink) -> None:
    transport = open_transport(f"smtp://127.0.0.1:{sink.port}?starttls=if-offered", timeout=5)
    transport.send(mail(), SENDER, ADA)
    transport.close()
    assert sink.encrypted == [False]


def test_smtps(smtps_sink: Sink, certificate: Certificate) -> None:
    transport = open_transport(f"smtps://localhost:{smtps_sink.port}", timeout=5, tls=certificate.trusting_client)
    transport.send(mail(), SENDER, ADA)
    transport.close()
    assert len(smtps_sink.taken) == 1


def test_smtps_refuses_a_certificate_nobody_vouches_for(smtps_sink: Sink) -> None:
    with pytest.raises(ServerUnreachable, match="certificate is not trusted"):
        open_transport(f"smtps://localhost:{smtps_sink.port}", timeout=5).check()


def test_smtps_on_a_port_without_tls_says_so(sink: Sink) -> None:
    with pytest.raises(ServerUnreachable, match="does not speak TLS"):
        open_transport(f"smtps://localhost:{sink.port}", timeout=5).check()
