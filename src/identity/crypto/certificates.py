"""The files that TLS is served with, read once and never half: what does not fit is said in plain words (TR-01)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import Certificate, DNSName, ExtensionNotFound, IPAddress, SubjectAlternativeName
from cryptography.x509 import load_pem_x509_certificates as load_chain


class CertificateInvalid(ValueError):
    """A file is missing or does not fit the others; the text names it, and nothing of a key."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts that belong together. `client_ca` signs the clients that are let in; None lets everybody in."""

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    host: str
    ends_at: datetime


def read_certificates(chain: Path, key: Path, client_ca: Path | None = None) -> Certificates:
    """Read them. Raises CertificateInvalid for a file that cannot be read, or a key of another certificate."""
    pem, key_pem = _text(chain), _text(key)
    certificates = _certificates(chain, pem)
    try:
        private = load_pem_private_key(key_pem, password=None)
    except (TypeError, ValueError):
        raise CertificateInvalid(f"{key} holds no private key in PEM that opens without a password.") from None
    if _spki(private.public_key()) != _spki(certificates[0].public_key()):
        raise CertificateInvalid(f"{key} is not the key of the first certificate in {chain}.")
    authorities = None if client_ca is None else _text(client_ca)
    if client_ca is not None and authorities is not None:
        _certificates(client_ca, authorities)
    ends_at = min(certificate.not_valid_after_utc for certificate in certificates)
    return Certificates(pem, key_pem, authorities, _host(certificates[0]), ends_at)


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateInvalid(f"{path} cannot be read: {error.strerror}.") from None


def _certificates(path: Path, pem: bytes) -> list[Certificate]:
    try:
        return load_chain(pem)
    except ValueError:
        raise CertificateInvalid(f"{path} holds no certificate in PEM.") from None


def _host(certificate: Certificate) -> str:
    """The first name that the certificate is for; empty if there is none."""
    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return ""
    hosts = names.get_values_for_type(DNSName) or [str(ip) for ip in names.get_values_for_type(IPAddress)]
    return hosts[0] if hosts else ""


def _spki(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded
