"""The one gate that every path to a token passes (LG-06)."""

from __future__ import annotations

from datetime import datetime

from identity.domain.accounts import Account, AccountStatus
from identity.domain.audit import Event, record
from identity.domain.callers import Source
from identity.domain.errors import (
    AccountLocked,
    DomainError,
    EmailNotVerified,
    InvalidCredentials,
    PasswordChangeRequired,
)
from identity.domain.policy import Policy
from identity.domain.ports import Transaction
from identity.domain.sessions import PASSWORD_CHANGE
from identity.domain.tenants import Tenant


def refusal(policy: Policy, account: Account, tenant: Tenant | None, now: datetime) -> DomainError | None:
    """Why this account gets no session now, for somebody who has proven its password; None when it does.

    A disabled account and a suspended tenant look like wrong credentials (LG-01). What its owner can
    mend, a locked account or an unproven address, is told.
    """
    if account.status is AccountStatus.DISABLED or (tenant is not None and tenant.suspended_at is not None):
        return InvalidCredentials()
    if account.password_expires_at is not None and now >= account.password_expires_at:
        return InvalidCredentials()
    if account.status is AccountStatus.LOCKED:
        return AccountLocked()
    if account.require_password_change:
        # A temporary password came by mail: who has it has read the address's mail.
        return None
    if policy.verified_email_to_sign_in and account.email is not None and account.email_verified_at is None:
        return EmailNotVerified()
    return None


def refusal_to_go_on(policy: Policy, account: Account, tenant: Tenant | None, now: datetime) -> DomainError | None:
    """Why a session that may do everything gets no further tokens; None when it does."""
    if (refused := refusal(policy, account, tenant, now)) is not None:
        return refused
    return PasswordChangeRequired() if scope(account) is not None else None


def refuse(tx: Transaction, refused: DomainError, account: Account, source: Source, now: datetime) -> DomainError:
    """Note a refusal in the journal, and hand it on."""
    record(tx.audit, Event.SIGN_IN_REFUSED, now, account_id=account.id, source=source, reason=refused.reason)
    return refused


def scope(account: Account) -> str | None:
    """What the account's session is restricted to: a temporary password can only be changed (PW-07)."""
    return PASSWORD_CHANGE if account.require_password_change else None
