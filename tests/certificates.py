"""An authority of one's own, and the certificates that it signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


class Pair(NamedTuple):
    """A certificate and its key, as files and as what gRPC takes."""

    certificate: Path
    key: Path

    @property
    def pem(self) -> tuple[bytes, bytes]:
        """The key and the certificate, in gRPC's order."""
        return self.key.read_bytes(), self.certificate.read_bytes()


class Authority:
    """Signs certificates, its own among them, and keeps them in a directory."""

    def __init__(self, place: Path, name: str = "authority") -> None:
        self._place = place
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._write(name, self._key, name, timedelta(days=2), is_authority=True).certificate

    def sign(self, host: str, *, lasts: timedelta = timedelta(days=1)) -> Pair:
        """A certificate for a host, and its key."""
        return self._write(f"{self._name}-{host}", ec.generate_private_key(ec.SECP256R1()), host, lasts)

    def _write(
        self, file: str, key: ec.EllipticCurvePrivateKey, host: str, lasts: timedelta, *, is_authority: bool = False
    ) -> Pair:
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_named(host))
            .issuer_name(_named(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + lasts)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .sign(self._key, SHA256())
        )
        pair = Pair(self._place / f"{file}.pem", self._place / f"{file}-key.pem")
        pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
