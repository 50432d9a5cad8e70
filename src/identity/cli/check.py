"""`identity check`: looks at everything the service needs, and says what is wrong in plain words."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import typer
from rich.text import Text

from identity.cli.deviations import deviations
from identity.cli.output import OUTSIDE, out, plain_errors, settings_at_fault, without_secrets
from identity.cli.settings import unknown_variables
from identity.crypto.certificates import CertificateInvalid, read_certificates
from identity.crypto.keyring import Keyring
from identity.crypto.passwords import measure
from identity.crypto.vault import Vault, VaultError
from identity.domain.errors import Overloaded, ServiceUnavailable
from identity.mail.letterhead import Letterhead
from identity.mail.sms import open_sms
from identity.mail.transports import PermanentFailure, TemporaryFailure, open_transport
from identity.presets import load_policy
from identity.settings import LOWEST_COST, Settings, load_settings
from identity.store import migrate
from identity.store.database import open_database
from identity.store.transaction import Transaction

SLOWEST_HASH = 0.25
"""Seconds that a password hash should stay below (PW-05)."""


ENDS_SOON = timedelta(days=14)
"""How long before its end a certificate is worth a look."""


class Level(Enum):
    """How bad a finding is, and how it is shown."""

    FINE = ("ok", "green")
    LOOK = ("look", "yellow")
    WRONG = ("wrong", "bold red")


class Finding(NamedTuple):
    """One thing that was looked at."""

    level: Level
    subject: str
    text: str


def run() -> None:
    """Look at everything; exit 1 if something is wrong."""
    with plain_errors(), settings_at_fault():
        settings = load_settings()
        wrong = 0
        for looked_at in (_variables, _policy, _mails, _texts, _tls, _traces, _hashing, _database):
            for finding in looked_at(settings):
                _show(finding)
                wrong += finding.level is Level.WRONG
        out.print(f"{wrong} thing(s) to mend." if wrong else "Nothing is wrong.")
        if wrong:
            raise typer.Exit(OUTSIDE)


def _show(finding: Finding) -> None:
    mark, style = finding.level.value
    out.print(Text.assemble((f"{mark:<6}", style), f"{finding.subject}: {finding.text}"))


def _variables(settings: Settings) -> Iterator[Finding]:
    yield Finding(Level.FINE, "Settings", "they can be read")
    for name, meant in unknown_variables().items():
        yield Finding(
            Level.LOOK, "Settings", f"{name} is no setting" + (f"; perhaps {meant} is meant" if meant else "")
        )


def _policy(settings: Settings) -> Iterator[Finding]:
    policy = load_policy(settings.preset, settings.policy)
    yield Finding(Level.FINE, "Preset", settings.preset)
    for found in deviations(policy, settings):
        yield Finding(Level.LOOK, "Preset", f"{found.text} ({found.requirement})")


def _mails(settings: Settings) -> Iterator[Finding]:
    Letterhead(settings.mail_from, settings.public_url, settings.product_name)
    where = without_secrets(settings.mail_url)
    transport = open_transport(settings.mail_url)
    try:
        transport.check()
    except (TemporaryFailure, PermanentFailure) as failure:
        yield Finding(Level.WRONG, "Mail", f"{where} takes none. {failure}")
    else:
        yield Finding(Level.FINE, "Mail", where)
    finally:
        transport.close()
    if settings.public_url.startswith("http:") and not settings.is_local:
        yield Finding(Level.LOOK, "Mail", f"links lead to {settings.public_url}; set IDENTITY_PUBLIC_URL to https://…")


def _texts(settings: Settings) -> Iterator[Finding]:
    where = without_secrets(settings.sms_url)
    transport = open_sms(settings.sms_url)
    try:
        transport.check()
    except (TemporaryFailure, PermanentFailure) as failure:
        yield Finding(Level.WRONG, "SMS", f"{where} takes none. {failure}")
    else:
        yield Finding(Level.FINE, "SMS", where)


def _tls(settings: Settings) -> Iterator[Finding]:
    if settings.tls_certificate is None or settings.tls_key is None:
        return
    try:
        found = read_certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    except CertificateInvalid as error:
        yield Finding(Level.WRONG, "TLS", str(error))
        return
    told = f"the certificate for {found.host or 'nobody by name'} ends on {found.ends_at:%Y-%m-%d %H:%MZ}"
    left = found.ends_at - datetime.now(UTC)
    yield Finding(Level.WRONG if left <= timedelta(0) else Level.LOOK if left < ENDS_SOON else Level.FINE, "TLS", told)
    if found.client_ca is not None:
        yield Finding(Level.FINE, "TLS", f"clients need a certificate signed by {settings.tls_client_ca}")


def _traces(settings: Settings) -> Iterator[Finding]:
    if not settings.otlp_endpoint:
        return
    if find_spec("opentelemetry") is None:
        yield Finding(Level.WRONG, "Traces", "OpenTelemetry is missing: pip install 'identity-service[otel]'")
        return
    place = urlsplit(settings.otlp_endpoint)
    try:
        socket.create_connection((place.hostname or "", place.port or 0), timeout=3).close()
    except OSError as error:
        yield Finding(Level.LOOK, "Traces", f"{settings.otlp_endpoint} takes none ({error.strerror}): they are dropped")
    else:
        yield Finding(Level.FINE, "Traces", settings.otlp_endpoint)


def _hashing(settings: Settings) -> Iterator[Finding]:
    seconds = measure(settings.bcrypt_cost)
    told = f"cost {settings.bcrypt_cost} takes {seconds * 1000:.0f} ms here"
    if seconds <= SLOWEST_HASH:
        yield Finding(Level.FINE, "Hashing", told)
    elif settings.bcrypt_cost > LOWEST_COST:
        yield Finding(
            Level.LOOK, "Hashing", f"{told}, over 250; IDENTITY_BCRYPT_COST={settings.bcrypt_cost - 1} halves it"
        )
    else:
        yield Finding(Level.LOOK, "Hashing", f"{told}, over 250, and it is the floor: this machine is slow")


def _database(settings: Settings) -> Iterator[Finding]:
    where = without_secrets(settings.database)
    if settings.is_embedded and not (file := Path(settings.database.removeprefix("sqlite:///"))).exists():
        yield _place_for(file)
        return
    if not settings.secret.get_secret_value() and not (settings.data_dir / "secret").exists():
        yield Finding(Level.WRONG, "Secret", f"{settings.data_dir / 'secret'} is gone, which {where} was used with")
        return
    try:
        if missing := migrate.pending(settings.database):
            yield Finding(Level.WRONG, "Database", f"{where} is {len(missing)} step(s) behind. Run: identity migrate")
            return
        _open_keys(settings)
    except (ServiceUnavailable, Overloaded):
        yield Finding(Level.WRONG, "Database", f"{where} is out of reach")
    except VaultError:
        yield Finding(Level.WRONG, "Secret", "it is not the one that this database was used with before")
    else:
        yield Finding(Level.FINE, "Database", f"{where} answers, its schema is up to date, and the secret fits")


def _place_for(file: Path) -> Finding:
    place = next(folder for folder in file.absolute().parents if folder.exists())
    if os.access(place, os.W_OK):
        return Finding(Level.FINE, "Database", f"{file} is not there yet; the service makes it when it starts")
    return Finding(Level.WRONG, "Database", f"{file} is not there, and this user may not write to {place}")


def _open_keys(settings: Settings) -> None:
    """Ask the database for the signing keys and open each. Raises VaultError if the secret is another."""
    database = open_database(settings.database, Transaction)
    try:
        vault = Vault(Keyring(settings.master_secret(), settings.other_secrets()))
        for key in database.read(lambda tx: tx.signing_keys.all()):
            vault.open(key.sealed, context=f"signing_key:{key.kid}")
    finally:
        database.close()
