"""Every table. Times are UTC, ids are UUIDs; races are decided by the unique constraints here."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Utc(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite, which keeps no time zone, stores it as plain UTC text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite counts by itself only in a column declared exactly INTEGER PRIMARY KEY.
_Number = BigInteger().with_variant(Integer(), "sqlite")

accounts = Table(
    "accounts",
    metadata,
    Column("number", _Number, Identity(), primary_key=True),
    Column("id", Uuid(), nullable=False, unique=True),
    Column("email", String(254), unique=True),
    Column("phone", String(16), unique=True),
    Column("first_name", String(100)),
    Column("last_name", String(100)),
    Column("name", String(201), nullable=False),
    Column("locale", String(8), nullable=False),
    Column("avatar_url", Text()),
    Column("status", String(16), nullable=False),
    Column("role", String(64)),
    Column("email_verified_at", Utc()),
    Column("password_hash", Text()),
    Column("require_password_change", Boolean(), nullable=False, default=False),
    Column("two_factor_enabled", Boolean(), nullable=False, server_default=false()),
    Column("password_expires_at", Utc()),
    Column("sign_in_count", Integer(), nullable=False, default=0),
    Column("current_sign_in_at", Utc()),
    Column("current_sign_in_ip", String(45)),
    Column("last_sign_in_at", Utc()),
    Column("last_sign_in_ip", String(45)),
    Column("locked_at", Utc()),
    Column("provider", String(32), nullable=False),
    Column("provider_uid", String(255)),
    Column("created_at", Utc(), nullable=False),
    Column("updated_at", Utc(), nullable=False),
    CheckConstraint("email IS NOT NULL OR phone IS NOT NULL", name="reachable"),
    sqlite_autoincrement=True,
)

tenants = Table(
    "tenants",
    metadata,
    Column("number", _Number, Identity(), primary_key=True),
    Column("id", Uuid(), nullable=False, unique=True),
    Column("kind", String(64), nullable=False),
    Column("slug", String(63), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("email", String(254)),
    Column("phone", String(32)),
    Column("address", Text()),
    Column("attributes", JSON(), nullable=False),
    Column("suspended_at", Utc()),
    Column("created_at", Utc(), nullable=False),
    Column("updated_at", Utc(), nullable=False),
    sqlite_autoincrement=True,
)

memberships = Table(
    "memberships",
    metadata,
    Column("number", _Number, Identity(), primary_key=True),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role", String(64), nullable=False),
    Column("department_id", String(64)),
    Column("team_ids", JSON(), nullable=False),
    Column("created_at", Utc(), nullable=False),
    Column("updated_at", Utc(), nullable=False),
    UniqueConstraint("account_id", "tenant_id"),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("number", _Number, Identity(), primary_key=True),
    Column("id", Uuid(), nullable=False, unique=True),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE")),
    Column("role", String(64)),
    Column("level", Integer(), nullable=False),
    Column("counter", BigInteger(), nullable=False),
    Column("amr", String(64), nullable=False),
    Column("scope", String(32)),
    Column("remembered", Boolean(), nullable=False),
    Column("authenticated_at", Utc(), nullable=False),
    Column("refreshed_at", Utc()),
    Column("idle_expires_at", Utc(), nullable=False),
    Column("expires_at", Utc(), nullable=False),
    Column("device_type", String(64), nullable=False),
    Column("device_name", String(128), nullable=False),
    Column("device_os", String(64), nullable=False),
    Column("device_fingerprint", String(256), nullable=False),
    Column("origin", String(32), nullable=False),
    Column("user_agent", String(256), nullable=False),
    Column("ip", String(45)),
    Column("revoked_at", Utc()),
    Column("revoked_reason", String(32)),
    Column("tokens_from", Utc()),
    Column("known_device", Uuid()),
    Index("ix_sessions_account_id_authenticated_at", "account_id", "authenticated_at"),
    # For the sessions of a role that changes.
    Index("ix_sessions_tenant_id_role", "tenant_id", "role"),
    sqlite_autoincrement=True,
)

one_time_tokens = Table(
    "one_time_tokens",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("purpose", String(32), nullable=False),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("email", String(254), nullable=False),
    Column("created_at", Utc(), nullable=False),
    Column("expires_at", Utc(), nullable=False),
    Column("consumed_at", Utc()),
)

throttles = Table(
    "throttles",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),
    Column("charges", Integer(), nullable=False),
    # For a backoff the end of the wait, for a window its end.
    Column("until", Utc(), nullable=False),
    Column("charged_at", Utc(), nullable=False, index=True),
)

factors = Table(
    "factors",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("type", String(16), nullable=False),
    Column("created_at", Utc(), nullable=False),
    Column("label", String(100)),
    Column("sealed_secret", LargeBinary()),
    Column("last_step", BigInteger()),
    Column("last_used_at", Utc()),
    UniqueConstraint("account_id", "type"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Utc(), nullable=False),
)

challenges = Table(
    "challenges",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("stage", String(16), nullable=False),
    Column("created_at", Utc(), nullable=False),
    Column("expires_at", Utc(), nullable=False, index=True),
    Column("amr", String(64), nullable=False),
    Column("tenant_slug", String(64)),
    Column("tenant_id", Uuid()),
    Column("device_type", String(64), nullable=False),
    Column("device_name", String(128), nullable=False),
    Column("device_os", String(64), nullable=False),
    Column("device_fingerprint", String(256), nullable=False),
    Column("origin", String(32), nullable=False),
    Column("remember", Boolean()),
    Column("tries", Integer(), nullable=False),
    Column("code_digest", LargeBinary(32)),
    Column("code_sent_at", Utc()),
    Column("sealed", LargeBinary()),
    Column("consumed_at", Utc()),
    Column("known_device", Uuid()),
)

roles = Table(
    "roles",
    metadata,
    Column("number", _Number, Identity(), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("key", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("level", Integer(), nullable=False),
    Column("permissions", JSON(), nullable=False),
    Column("mfa_required", Boolean(), nullable=False),
    Column("created_at", Utc(), nullable=False),
    Column("updated_at", Utc(), nullable=False),
    UniqueConstraint("tenant_id", "key"),
    sqlite_autoincrement=True,
)

invites = Table(
    "invites",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("email", String(254), nullable=False),
    Column("role", String(64), nullable=False),
    Column("department_id", String(64)),
    Column("team_ids", JSON(), nullable=False),
    Column("locale", String(8), nullable=False),
    Column("invited_by_id", Uuid(), index=True),
    Column("invited_by", String(201), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("status", String(16), nullable=False),
    Column("created_at", Utc(), nullable=False),
    Column("sent_at", Utc(), nullable=False),
    Column("expires_at", Utc(), nullable=False),
    Column("answered_at", Utc()),
    Column("account_id", Uuid()),
    Index("ix_invites_tenant_id_created_at", "tenant_id", "created_at"),
    # One pending invite for a tenant and an address, whoever writes beside us.
    Index(
        "uq_invites_pending",
        "tenant_id",
        "email",
        unique=True,
        sqlite_where=text("status = 'pending'"),
        postgresql_where=text("status = 'pending'"),
    ),
)

push_devices = Table(
    "push_devices",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("session_id", Uuid(), nullable=False, index=True),
    # The digest is what makes a token one of a kind; the token itself is only kept encrypted.
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("sealed", LargeBinary(), nullable=False),
    Column("platform", String(16), nullable=False),
    Column("created_at", Utc(), nullable=False),
)

service_keys = Table(
    "service_keys",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("scopes", JSON(), nullable=False),
    Column("created_at", Utc(), nullable=False),
    Column("revoked_at", Utc()),
)

revocations = Table(
    "revocations",
    metadata,
    Column("id", _Number, Identity(), primary_key=True),
    Column("session_id", Uuid(), nullable=False),
    Column("account_id", Uuid(), nullable=False),
    Column("at", Utc(), nullable=False, index=True),
    Column("reason", String(32), nullable=False),
    Column("expires_at", Utc(), nullable=False, index=True),
    Column("issued_before", Utc()),
    sqlite_autoincrement=True,
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    # Two replicas that make the same next key meet here, and one of them wins.
    Column("generation", Integer(), nullable=False, unique=True),
    Column("algorithm", String(16), nullable=False),
    Column("sealed", LargeBinary(), nullable=False),
    Column("created_at", Utc(), nullable=False),
    Column("signs_from", Utc(), nullable=False),
    Column("signs_until", Utc(), nullable=False),
    Column("published_until", Utc(), nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("recipient", String(254), nullable=False),
    Column("locale", String(8), nullable=False),
    Column("sealed", LargeBinary(), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer(), nullable=False, default=0),
    Column("due_at", Utc(), nullable=False),
    Column("created_at", Utc(), nullable=False),
    Column("expires_at", Utc(), nullable=False),
    Column("finished_at", Utc()),
    Column("error", String(128)),
    Index("ix_outbox_status_due_at", "status", "due_at"),
    Index("ix_outbox_recipient_status", "recipient", "status"),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("at", Utc(), nullable=False, index=True),
    Column("event", String(48), nullable=False),
    # Plain ids without foreign keys: the journal outlives what it speaks of.
    Column("account_id", Uuid(), index=True),
    Column("tenant_id", Uuid()),
    Column("session_id", Uuid()),
    Column("source", String(64)),
    Column("factor", String(16)),
    Column("detail", JSON(), nullable=False),
)

deployment = Table(
    "deployment",
    metadata,
    Column("id", Integer(), primary_key=True, autoincrement=False),
    Column("set_up_at", Utc(), nullable=False),
    CheckConstraint("id = 1", name="singleton"),
)
