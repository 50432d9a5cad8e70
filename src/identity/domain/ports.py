"""What the domain needs of the world, as protocols; `server.py` supplies the real ones."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from identity.domain.accounts import AccountStore
from identity.domain.attempts import Attempts
from identity.domain.audit import AuditStore
from identity.domain.challenges import ChallengeStore
from identity.domain.deployment import DeploymentStore
from identity.domain.factors import FactorStore
from identity.domain.housekeeping import HousekeepingStore
from identity.domain.invites import InviteStore
from identity.domain.mails import Channel, OutboxStore
from identity.domain.one_time_tokens import OneTimeTokenStore
from identity.domain.policy import Policy
from identity.domain.push_devices import PushDeviceStore
from identity.domain.revocations import RevocationStore, RevokedSessions
from identity.domain.roles import RoleStore
from identity.domain.service_keys import KnownServiceKeys, ServiceKeyStore
from identity.domain.sessions import SessionStore
from identity.domain.signing_keys import SigningKeyStore
from identity.domain.tenants import TenantStore
from identity.domain.throttles import ThrottleStore
from identity.domain.tokens import AccessClaims

R = TypeVar("R")


class Transaction(Protocol):
    """The stores of one unit of work: all of it is committed, or none."""

    @property
    def accounts(self) -> AccountStore: ...
    @property
    def tenants(self) -> TenantStore: ...
    @property
    def roles(self) -> RoleStore: ...
    @property
    def push_devices(self) -> PushDeviceStore: ...
    @property
    def service_keys(self) -> ServiceKeyStore: ...
    @property
    def invites(self) -> InviteStore: ...
    @property
    def sessions(self) -> SessionStore: ...
    @property
    def one_time_tokens(self) -> OneTimeTokenStore: ...
    @property
    def factors(self) -> FactorStore: ...
    @property
    def challenges(self) -> ChallengeStore: ...
    @property
    def throttles(self) -> ThrottleStore: ...
    @property
    def revocations(self) -> RevocationStore: ...
    @property
    def signing_keys(self) -> SigningKeyStore: ...
    @property
    def outbox(self) -> OutboxStore: ...
    @property
    def audit(self) -> AuditStore: ...
    @property
    def deployment(self) -> DeploymentStore: ...
    @property
    def housekeeping(self) -> HousekeepingStore: ...

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once this unit is committed; never if it is rolled back."""


class Database(Protocol):
    """The whole interface to storage. Never hash, mail or wait inside `fn`."""

    def read(self, fn: Callable[[Transaction], R], /) -> R: ...
    def write(self, fn: Callable[[Transaction], R], /) -> R: ...
    def submit_write(self, fn: Callable[[Transaction], R], /) -> Future[R]:
        """The same as `write`, without waiting: for callers that live on an event loop."""


class PasswordHasher(Protocol):
    """Slow on purpose, and as slow for nobody as for somebody (PW-05, LG-01)."""

    def hash(self, password: str) -> str: ...
    def verify(self, password: str, stored: str | None) -> bool: ...
    def needs_rehash(self, stored: str) -> bool: ...


class RefreshClaim(Protocol):
    @property
    def session_id(self) -> UUID: ...
    @property
    def counter(self) -> int: ...


class RefreshTokens(Protocol):
    """Opaque tokens that carry a session and a counter; nothing of them is stored (SE-01)."""

    def issue(self, session_id: UUID, counter: int) -> str: ...
    def read(self, token: str) -> RefreshClaim | None: ...


class DeviceTokens(Protocol):
    """Opaque tokens by which a device is known at later sign-ins; nothing of them is stored (LG-03)."""

    def issue(self, session_id: UUID) -> str: ...
    def read(self, token: str) -> UUID | None: ...


class AccessTokens(Protocol):
    def mint(self, claims: AccessClaims) -> str: ...
    def verify(self, token: str, now: datetime) -> AccessClaims: ...


class VaultError(Exception):
    """What was to be opened is not what was sealed there, or not by us."""


class Vault(Protocol):
    """Encryption at rest; `context` binds a ciphertext to its place, and VaultError is raised elsewhere."""

    def seal(self, plaintext: bytes, context: str) -> bytes: ...
    def open(self, sealed: bytes, context: str) -> bytes: ...


class Totp(Protocol):
    """Codes of authenticator apps."""

    def new_secret(self) -> str: ...
    def uri(self, secret: str, name: str) -> str: ...
    def step_of(self, secret: str, code: str, now: datetime) -> int | None: ...


class ThrottleKeys(Protocol):
    def digest(self, kind: str, value: str) -> bytes: ...


class CodeDigests(Protocol):
    """What is stored of codes that people type; `candidates` is what may be, whatever secret was in use."""

    def digest(self, kind: str, value: str) -> bytes: ...
    def candidates(self, kind: str, value: str) -> list[bytes]: ...


@dataclass(frozen=True, slots=True)
class Secrets:
    """Randomness that must not be guessed."""

    new_token: Callable[[], str]
    digest: Callable[[str], bytes]
    new_otp: Callable[[], str]
    new_recovery_codes: Callable[[], list[str]]
    new_temporary_password: Callable[[], str]
    equal: Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class World:
    """Everything a use case may touch."""

    database: Database
    policy: Policy
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    passwords: PasswordHasher
    is_common_password: Callable[[str], bool]
    refresh_tokens: RefreshTokens
    access_tokens: AccessTokens
    device_tokens: DeviceTokens
    vault: Vault
    secrets: Secrets
    throttle_keys: ThrottleKeys
    code_digests: CodeDigests
    totp: Totp
    revoked: RevokedSessions
    service_keys: KnownServiceKeys
    wake_mail: Callable[[Channel], None]
    bootstrap_secret: str
    attempts: Attempts = field(default_factory=Attempts)
