"""The one gate that every path to a token passes (LG-06)."""

from __future__ import annotations

from datetime import datetime

from identity.domain.accounts import Account, AccountStatus
from identity.domain.errors import AccountLocked, DomainError, EmailNotVerified, InvalidCredentials
from identity.domain.policy import Policy
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
    if policy.verified_email_to_sign_in and account.email is not None and account.email_verified_at is None:
        return EmailNotVerified()
    return None


def scope(account: Account) -> str | None:
    """What the account's session is restricted to: a temporary password can only be changed (PW-07)."""
    return PASSWORD_CHANGE if account.require_password_change else None
