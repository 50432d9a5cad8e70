"""Accounts: a person, as this deployment knows them."""

from __future__ import annotations

import encodings.idna
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from identity.domain.errors import InvalidRequest

_LOCAL_PART = re.compile(r"[^\x00-\x20\x7f,;:<>()\[\]\\\"@\s]{1,64}")
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class AccountStatus(StrEnum):
    """`LOCKED` is for the security of its owner and can be undone by them; `DISABLED` only by an administrator."""

    ACTIVE = "active"
    LOCKED = "locked"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Account:
    """A person.

    `name` is the one to greet with and may be empty; `number` is the small integer some products
    show, and never decides anything (Z-31).
    """

    id: UUID
    number: int
    email: str | None
    phone: str | None
    first_name: str | None
    last_name: str | None
    name: str
    locale: str
    avatar_url: str | None
    status: AccountStatus
    role: str | None
    created_at: datetime
    updated_at: datetime
    email_verified_at: datetime | None = None
    password_hash: str | None = field(default=None, repr=False)
    require_password_change: bool = False
    two_factor_enabled: bool = False
    password_expires_at: datetime | None = None
    sign_in_count: int = 0
    current_sign_in_at: datetime | None = None
    current_sign_in_ip: str | None = None
    last_sign_in_at: datetime | None = None
    last_sign_in_ip: str | None = None
    locked_at: datetime | None = None
    provider: str = "local"
    provider_uid: str | None = None


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account about to be written; the database gives it its number."""

    id: UUID
    email: str | None
    phone: str | None
    first_name: str | None
    last_name: str | None
    name: str
    locale: str
    role: str | None
    password_hash: str = field(repr=False)
    created_at: datetime
    email_verified_at: datetime | None = None
    require_password_change: bool = False
    password_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PersonName:
    """How a person is called. `full` stands alone where a product asks for one name only."""

    first: str | None = None
    last: str | None = None
    full: str | None = None

    @property
    def display(self) -> str:
        return self.full or " ".join(part for part in (self.first, self.last) if part)


class AccountStore(Protocol):
    """Rows of accounts. `email` and `phone` are canonical everywhere."""

    def add(self, account: NewAccount) -> Account | None:
        """Write a new account; None when its address or number belongs to somebody already."""

    def get(self, account_id: UUID) -> Account | None: ...

    def find(self, *, email: str | None = None, phone: str | None = None) -> Account | None:
        """The account with this canonical e-mail address, or this E.164 number."""

    def lock(self, account_id: UUID, *, password_hash: str) -> Account | None:
        """Hold an account until this unit ends, if its password is still the one that was proven (F-09).

        A password change or a disabling that runs beside waits for this unit, or is seen by it.
        """

    def hold(self, account_id: UUID) -> Account | None:
        """The account, whose row nobody else changes until this unit ends."""

    def rehash(self, account_id: UUID, password_hash: str) -> None:
        """Store the same password under the present scheme (PW-05)."""

    def count_sign_in(self, account_id: UUID, *, now: datetime, ip: str | None) -> Account:
        """Note a finished sign-in."""

    def update(self, account_id: UUID, values: Mapping[str, object], now: datetime) -> None:
        """Write new values of columns."""

    def note_lock(self, account_id: UUID, now: datetime) -> None:
        """Note since when the password is of no use."""

    def unlock(self, account_id: UUID) -> None:
        """Undo a lock."""

    def spend_password(self, account_id: UUID, now: datetime) -> None:
        """Let a temporary password open no further session (Z-20)."""

    def remove(self, account_id: UUID) -> None:
        """Erase an account and everything that is only about it."""

    def set_password(self, account_id: UUID, *, password_hash: str, now: datetime) -> None:
        """Write a new password, and clear a lock and every demand to change it."""

    def verify_email(self, account_id: UUID, *, email: str, now: datetime) -> Account | None:
        """Mark the address as proven, if it is still the account's; None otherwise."""


def canonical_email(raw: str, *, field: str = "email") -> str:
    """The one spelling under which an address is stored, compared, throttled and mailed (LG-05).

    NFC; the domain in IDNA lower case; the local part with ASCII letters lowered and nothing else,
    so that no two people merge (Django CVE-2019-19844). At most 254 bytes.
    Raises InvalidRequest for anything that is not exactly one plain address.
    """
    if any(not character.isascii() and _nfc(character).isascii() for character in raw):
        # The Kelvin sign is another letter than K until it is normalised: neither a merger nor a third spelling.
        raise InvalidRequest("This is not an e-mail address.", field=field)
    text = _nfc(raw)
    local, at, domain = text.rpartition("@")
    domain = _ascii_domain(domain)
    address = f"{local.translate(_LOWER)}@{domain}"
    if (
        not at
        or not _LOCAL_PART.fullmatch(local)
        or not _DOMAIN.fullmatch(domain)
        or len(address.encode("utf-8", "surrogatepass")) > 254
        or not local.isprintable()
    ):
        raise InvalidRequest("This is not an e-mail address.", field=field)
    return address


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _ascii_domain(domain: str) -> str:
    """The IDNA form of a domain; empty when there is none that keeps different domains apart."""
    if domain.isascii():
        return domain.translate(_LOWER)
    try:
        labels = [label.lower() for label in domain.split(".")]
        encoded = [encodings.idna.ToASCII(label) for label in labels]
        # The standard library maps "ß" to "ss" as IDNA 2003 did: an address that would change is refused.
        if [encodings.idna.ToUnicode(label) for label in encoded] != labels:
            return ""
        return b".".join(encoded).decode("ascii").translate(_LOWER)
    except UnicodeError:
        return ""
