"""TLS as the running port speaks it, whatever the settings say (TR-01, N-47)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from tests.certificates import Authority, Pair
from tests.mailbox import Mailbox
from tests.running import Client, Running, running

from identity.settings import SettingsInvalid
from identity_pb.v1 import auth_service_pb2 as auth

HOST = "id.example.org"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
SETTINGS_FRAME = 4


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(place: Path) -> Authority:
    return Authority(place)


@pytest.fixture(scope="module")
def server(authority: Authority) -> Pair:
    return authority.sign(HOST)


@pytest_asyncio.fixture(scope="module")
async def strict(place: Path, authority: Authority, server: Pair, mailbox: Mailbox) -> AsyncIterator[Running]:
    """A service that asks for client certificates."""
    tls: dict[str, Any] = {
        "tls_certificate": server.certificate,
        "tls_key": server.key,
        "tls_client_ca": authority.certificate,
    }
    async with running(place, mailbox, **tls) as service:
        yield service


async def test_TR_01_who_has_a_certificate_of_our_authority_is_served(strict: Running, authority: Authority) -> None:
    assert await _needs_setup(strict, authority, authority.sign("backend"))


async def test_TR_01_nobody_is_served_without_one(strict: Running, authority: Authority, place: Path) -> None:
    stranger = Authority(place, "stranger")
    for shown in (None, stranger.sign("backend"), authority.sign("once", lasts=-timedelta(hours=1))):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _needs_setup(strict, authority, shown)

        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("version", "answers"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_TR_01_nothing_older_than_1_2_is_spoken(
    strict: Running, authority: Authority, version: ssl.TLSVersion, answers: bool
) -> None:
    """N-47: asked of the port itself, by a client that would take anything."""
    answer = await asyncio.to_thread(_speak, strict.service.address, version, authority.sign("backend"))

    assert answer == (SETTINGS_FRAME if answers else None)


async def test_TR_01_a_bare_connection_is_not_served(strict: Running) -> None:
    async with grpc.aio.insecure_channel(strict.service.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await Client(channel).auth.GetSetupStatus(auth.GetSetupStatusRequest(), timeout=5)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_without_an_authority_no_client_is_asked(
    place: Path, tmp_path: Path, authority: Authority, server: Pair, mailbox: Mailbox
) -> None:
    async with running(tmp_path, mailbox, tls_certificate=server.certificate, tls_key=server.key) as service:
        assert await _needs_setup(service, authority, None)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"tls_client_ca": "no.pem"}, "no.pem cannot be read: No such file or directory."),
        ({"tls_client_ca": "text.pem"}, "text.pem holds no certificate in PEM."),
        ({"tls_certificate": "text.pem"}, "text.pem holds no certificate in PEM."),
        ({"tls_key": "text.pem"}, "text.pem holds no private key in PEM that opens without a password."),
        ({"tls_key": "authority-key.pem"}, "authority-key.pem is not the key of the first certificate in "),
    ],
)
async def test_TR_01_files_that_do_not_fit_stop_the_start(
    given: dict[str, str], told: str, place: Path, tmp_path: Path, authority: Authority, server: Pair, mailbox: Mailbox
) -> None:
    """Never half of it: a port that was to ask for certificates and does not would let everybody in."""
    (place / "text.pem").write_text("-----BEGIN NOTHING-----\n")
    files: dict[str, Any] = {
        "tls_certificate": server.certificate,
        "tls_key": server.key,
        "tls_client_ca": authority.certificate,
    }
    with pytest.raises(SettingsInvalid) as refused:
        async with running(tmp_path, mailbox, **{**files, **{name: place / file for name, file in given.items()}}):
            pass

    assert told in str(refused.value)


async def _needs_setup(service: Running, trusted: Authority, shown: Pair | None) -> bool:
    """A call over TLS, with the certificate that is shown to the service."""
    key, chain = shown.pem if shown else (None, None)
    credentials = grpc.ssl_channel_credentials(trusted.certificate.read_bytes(), key, chain)
    options = [("grpc.ssl_target_name_override", HOST)]
    async with grpc.aio.secure_channel(service.service.address, credentials, options) as channel:
        answer = await Client(channel).auth.GetSetupStatus(auth.GetSetupStatusRequest(), timeout=5)
        return bool(answer.needs_setup)


def _speak(address: str, version: ssl.TLSVersion, shown: Pair) -> int | None:
    """The type of the first HTTP/2 frame that comes back over this version of TLS; None if none does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(shown.certificate, shown.key)
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as bare:
        try:
            with context.wrap_socket(bare) as connection:
                connection.sendall(PREFACE)
                frame = connection.recv(9)
        except (ssl.SSLError, ConnectionError):
            return None
    return frame[3] if len(frame) == 9 else None
