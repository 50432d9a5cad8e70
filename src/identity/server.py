"""The composition root: from settings to a running server, and back down again.

The only module that knows every other one. A `Service` owns the database, the hashing lane, the mail
dispatcher and the gRPC server; `start` brings them up in the order in which they need each other,
`stop` takes them down so that nothing acknowledged is lost (F-18).
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from identity.crypto import common_passwords, one_time_tokens
from identity.crypto.access_tokens import AccessTokens
from identity.crypto.certificates import CertificateInvalid, Certificates, read_certificates
from identity.crypto.code_digests import CodeDigests
from identity.crypto.device_tokens import DeviceTokens
from identity.crypto.key_ring import KeyRing
from identity.crypto.keyring import Keyring
from identity.crypto.lane import HashingLane
from identity.crypto.passwords import PasswordHasher
from identity.crypto.refresh_tokens import RefreshTokens
from identity.crypto.throttle_keys import ThrottleKeys
from identity.crypto.totp import Totp
from identity.crypto.vault import Vault
from identity.domain.auth.setup import needs_setup
from identity.domain.authentication import authenticate, learn_revocations
from identity.domain.authorization import authorize
from identity.domain.housekeeping import sweep
from identity.domain.mails import Channel
from identity.domain.notices import resolve_request
from identity.domain.ports import Secrets, World
from identity.domain.revocations import RevokedSessions
from identity.domain.service_access import authenticate_service, learn_service_keys
from identity.domain.service_keys import KnownServiceKeys
from identity.domain.session.recent import Recent
from identity.mail.carriers import MailCarrier, SmsCarrier
from identity.mail.letterhead import Letterhead
from identity.mail.post_office import PostOffice
from identity.mail.sms import open_sms
from identity.mail.transports import open_transport
from identity.presets import load_policy
from identity.rpc.access import AccessPolicy
from identity.rpc.accounts import AccountService
from identity.rpc.auth import AuthService
from identity.rpc.factors import FactorService
from identity.rpc.handlers import add
from identity.rpc.health import Health, enable_reflection
from identity.rpc.invites import InviteService
from identity.rpc.limits import server_options
from identity.rpc.log import CallLog, log_call
from identity.rpc.pipeline import Pipeline
from identity.rpc.requests import compile_rules
from identity.rpc.sessions import SessionService
from identity.rpc.source import SourceReader
from identity.rpc.tenants import TenantService
from identity.settings import Settings, SettingsInvalid
from identity.store import migrate
from identity.store.database import Database, open_database
from identity.store.observed import ObservedDatabase
from identity.store.transaction import Transaction
from identity.telemetry.telemetry import Telemetry
from identity.tending import Chore, Tending
from identity_pb.v1 import (
    account_service_pb2_grpc,
    auth_service_pb2_grpc,
    factor_service_pb2_grpc,
    invite_service_pb2_grpc,
    session_service_pb2_grpc,
    tenant_service_pb2_grpc,
)

if TYPE_CHECKING:
    from identity.rest.mount import Mount

SERVICES = (
    "identity.v1.AuthService",
    "identity.v1.SessionService",
    "identity.v1.FactorService",
    "identity.v1.InviteService",
    "identity.v1.AccountService",
    "identity.v1.TenantService",
)

PASSWORD_CHANGE_ONLY = frozenset(
    {
        "/identity.v1.AuthService/ChangePassword",
        "/identity.v1.SessionService/GetSession",
        "/identity.v1.SessionService/SignOut",
    }
)
"""What a session may call that was opened with a temporary password (PW-07)."""

LEARN_KEYS_EVERY = 2.0
"""Seconds between two looks at the service keys: how soon a new one works and a revoked one does not."""

LOAD_KEYS_EVERY = 15.0
"""Seconds between two looks at the signing keys: an emergency drop is everywhere within a minute (JW-04)."""

SWEEP_EVERY = 600.0
"""Seconds between two removals of what nobody will ask for again."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from; tests bring their own."""

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic


def open_mount(settings: Settings) -> Mount:
    """The HTTP container of this process. Raises SettingsInvalid where what it needs is not installed."""
    try:
        from identity.rest.mount import Mount  # an extra, and half of the time that a start takes
    except ImportError:
        raise SettingsInvalid(
            "IDENTITY_REST_ADDRESS needs the parts that speak HTTP: pip install 'identity-service[rest]'"
        ) from None
    return Mount(settings.model_copy(update={"dialect": settings.mounted_dialect}))


async def start_mount(mount: Mount) -> None:
    """Serve HTTP. Raises SettingsInvalid for an address or certificate that is not fit."""
    try:
        await mount.start()
    except OSError as error:
        raise SettingsInvalid(str(error)) from None


class Service:
    """One process of the service. `address` is where it listens once started."""

    def __init__(
        self, settings: Settings, *, clock: Clock = Clock(), bcrypt_cost: int | None = None, log: CallLog = log_call
    ) -> None:
        """Build everything and touch nothing yet. `bcrypt_cost` is for tests, which may go below the floor."""
        self.settings = settings
        self._telemetry = Telemetry(settings)
        keyring = Keyring(settings.master_secret(), settings.other_secrets())
        self._vault = Vault(keyring)
        self._recent: Recent[Any] = Recent(clock.monotonic)
        self._database: Database[Transaction] = ObservedDatabase(
            open_database(
                settings.database,
                partial(Transaction, on_change=self._recent.forget, watch=self._telemetry.watch),
                settings.database_pool,
            ),
            settings.log_slow_seconds,
            self._telemetry.observe_unit,
            self._telemetry.trace_unit,
        )
        self._key_ring = KeyRing(self._database, self._vault, clock.now, settings.signing_algorithm)
        policy = load_policy(settings.preset, settings.policy)
        self._issuer = settings.issuer or policy.issuer or settings.public_url
        self._audience = settings.audience or policy.audience
        self.world = World(
            database=self._database,
            policy=policy,
            clock=clock.now,
            monotonic=clock.monotonic,
            passwords=self._telemetry.around_hasher(
                PasswordHasher(
                    keyring.pepper, keyring.pepper_id, bcrypt_cost or settings.bcrypt_cost, keyring.old_peppers
                )
            ),
            is_common_password=common_passwords.is_common,
            refresh_tokens=RefreshTokens(keyring.refresh, tuple(old.refresh for old in keyring.old)),
            access_tokens=AccessTokens(self._issuer, self._audience, self._key_ring.keys),
            device_tokens=DeviceTokens(keyring.device, tuple(old.device for old in keyring.old)),
            vault=self._vault,
            secrets=Secrets(
                new_token=one_time_tokens.new_token,
                digest=one_time_tokens.digest,
                new_otp=one_time_tokens.new_otp,
                new_recovery_codes=one_time_tokens.new_recovery_codes,
                new_temporary_password=one_time_tokens.new_temporary_password,
                equal=hmac.compare_digest,
            ),
            totp=Totp(settings.product_name),
            throttle_keys=ThrottleKeys(keyring.throttle),
            code_digests=CodeDigests(keyring),
            revoked=RevokedSessions(),
            service_keys=KnownServiceKeys(),
            wake_mail=self._wake_mail,
            bootstrap_secret=base64.urlsafe_b64encode(keyring.bootstrap).decode().rstrip("="),
        )
        self._lane = HashingLane(settings.hashing_threads, settings.hashing_queue)
        letterhead = Letterhead(settings.mail_from, settings.public_url, settings.product_name)
        self.dispatcher = PostOffice(
            self._database,
            self._vault,
            lambda mail: resolve_request(self.world, mail),
            clock.now,
            self._telemetry.around_carrier(MailCarrier(open_transport(settings.mail_url), letterhead)),
            self._telemetry.around_carrier(SmsCarrier(open_sms(settings.sms_url), settings.product_name)),
            on_outcome=self._telemetry.observe_mail,
        )
        self._pipeline = Pipeline(
            policy=AccessPolicy.read(SERVICES),
            authenticate=lambda token: authenticate(self.world, token),
            authenticate_service=lambda token, scope: authenticate_service(self.world, token, scope),
            authorize=lambda caller, permission: authorize(self.world, caller, permission),
            restricted=PASSWORD_CHANGE_ONLY,
            # The container in this process calls over a Unix socket, and says who the client is.
            sources=SourceReader((*settings.trusted_proxies, *(("unix",) if settings.rest_address else ()))),
            lane=self._lane,
            is_away=lambda: self._database.is_away,
            threads=settings.threads,
            deadlines={"/identity.v1.SessionService/RefreshSession": 3.0},
            log=log,
            observe=self._telemetry.observe_call,
            trace=self._telemetry.trace_call,
        )
        self._health = Health(SERVICES)
        self._server: grpc.aio.Server | None = None
        self._mount: Mount | None = None
        self._tending = Tending(
            lambda: learn_revocations(self.world),
            (
                Chore("service keys", lambda: learn_service_keys(self.world), LEARN_KEYS_EVERY),
                Chore("signing keys", self._key_ring.load, LOAD_KEYS_EVERY),
                Chore("sweep", lambda: sweep(self.world), SWEEP_EVERY),
            ),
            self._health.serving,
            self._health.not_serving,
        )
        self.address = ""

    def close(self) -> None:
        """Give back what was taken by building, of a service that never started."""
        self._database.close()

    # Up.

    async def start(self) -> None:
        """Bring the service up and listen. Raises SettingsInvalid when the schema or the address is not fit."""
        await asyncio.to_thread(self._prepare)
        server = grpc.aio.server(interceptors=[self._pipeline], options=server_options())
        auth = AuthService(self.world)
        session = SessionService(self.world, self._key_ring.jwks, self._recent, self._issuer, self._audience)
        add(server, auth_service_pb2_grpc.add_AuthServiceServicer_to_server, auth)
        add(server, session_service_pb2_grpc.add_SessionServiceServicer_to_server, session)
        add(server, factor_service_pb2_grpc.add_FactorServiceServicer_to_server, FactorService(self.world))
        add(server, invite_service_pb2_grpc.add_InviteServiceServicer_to_server, InviteService(self.world))
        add(server, account_service_pb2_grpc.add_AccountServiceServicer_to_server, AccountService(self.world))
        add(server, tenant_service_pb2_grpc.add_TenantServiceServicer_to_server, TenantService(self.world))
        await self._health.register(server)
        reflection = self.settings.reflection
        if reflection or (reflection is None and self.settings.is_local):
            enable_reflection(SERVICES, server)
        self.address = self._listen(server)
        self._server = server
        if self.settings.rest_address:
            self._mount = open_mount(self.settings)
            server.add_insecure_port(self._mount.socket)
        self._telemetry.start(
            world=self.world,
            database=self._database,
            lane=self._lane,
            pipeline=self._pipeline,
            key_ring=self._key_ring,
            health=self._health,
        )
        await server.start()
        await self._health.serving()
        if self._mount is not None:
            await start_mount(self._mount)
        self.dispatcher.start()
        self._tending.start()

    def _prepare(self) -> None:
        settings = self.settings
        if settings.is_embedded:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            migrate.upgrade(settings.database)
        elif pending := migrate.pending(settings.database):
            raise SettingsInvalid(
                f"The database's schema is {len(pending)} step(s) behind this version. Run: identity migrate"
            )
        self._key_ring.load()
        learn_revocations(self.world)
        learn_service_keys(self.world)
        # Now, and not inside somebody's call; a rule that makes no sense stops the start.
        compile_rules(SERVICES)
        common_passwords.is_common("")

    def _listen(self, server: grpc.aio.Server) -> str:
        address = self.settings.grpc_address
        certificates = _certificates(self.settings)
        try:
            if certificates is None:
                port = server.add_insecure_port(address)
            else:
                pair, client_ca = (certificates.key, certificates.chain), certificates.client_ca
                credentials = grpc.ssl_server_credentials([pair], client_ca, require_client_auth=client_ca is not None)
                port = server.add_secure_port(address, credentials)
        except RuntimeError:
            raise SettingsInvalid(
                f"IDENTITY_GRPC_ADDRESS={address} cannot be served on: is another process using it?"
            ) from None
        return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"

    @property
    def metrics_address(self) -> str:
        """Where metrics are scraped; empty where they are not."""
        return self._telemetry.metrics_address

    @property
    def http_address(self) -> str:
        """Where HTTP is served; empty where it is not."""
        return self._mount.address if self._mount else ""

    @property
    def open_setup_secret(self) -> str | None:
        """The secret that the first run asks for, while it is still open."""
        return self.world.bootstrap_secret if needs_setup(self.world) else None

    # While it runs.

    def _wake_mail(self, channel: Channel) -> None:
        self.dispatcher.wake(channel)

    # Down.

    async def stop(self) -> None:
        """Say that the end is near, let calls finish, put leases back, close (F-18)."""
        await self._health.draining()
        if self._mount is not None:
            await self._mount.stop()
        # What comes is refused and streams end, whose clients go on elsewhere: calls have the whole grace to finish.
        self._pipeline.drain()
        if self._server is not None:
            await self._server.stop(self.settings.shutdown_seconds)
        await self._pipeline.close()
        await self._lane.close()
        await asyncio.to_thread(self.dispatcher.stop, self.settings.shutdown_seconds)
        await self._tending.stop()
        await asyncio.to_thread(self._telemetry.stop)
        await asyncio.to_thread(self._database.close)


def _certificates(settings: Settings) -> Certificates | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    try:
        return read_certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    except CertificateInvalid as error:
        raise SettingsInvalid(str(error)) from None
