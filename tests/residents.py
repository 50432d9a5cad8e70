"""People who have been here for a while, written straight into the database.

For tests of what happens to somebody, not of how they came: registering with its mail costs ten times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

import pyotp
from tests.running import PASSWORD, Running, new_email

from identity.domain.accounts import Account, NewAccount
from identity.domain.code_proof import seal_seed
from identity.domain.factors import Factor, FactorType
from identity.domain.ids import new_id
from identity.domain.invites import LIFETIME, Invite, InviteStatus
from identity.domain.tenants import NewMembership, NewTenant, Tenant

_numbers = count(1)


@dataclass(frozen=True)
class Resident:
    """Somebody in a tenant, whose address is proven and whose password is PASSWORD."""

    account: Account
    tenant: Tenant

    @property
    def email(self) -> str:
        return self.account.email or ""


def resident(service: Running, role: str = "owner", tenant: Tenant | None = None, **columns: Any) -> Resident:
    """Somebody in a tenant of their own, or in the given one."""
    now, number = service.clock.now, next(_numbers)
    values: dict[str, Any] = {
        "id": new_id(now),
        "email": new_email(),
        "phone": None,
        "first_name": "Resident",
        "last_name": str(number),
        "name": f"Resident {number}",
        "locale": "en",
        "role": role,
        "password_hash": _hashed(service.world.passwords),
        "created_at": now,
        "email_verified_at": now,
    }
    account = service.world.database.write(lambda tx: tx.accounts.add(NewAccount(**{**values, **columns})))
    return Resident(account, join(service, account, role, tenant))


def join(service: Running, account: Account, role: str = "owner", tenant: Tenant | None = None) -> Tenant:
    """Somebody becomes a member of a tenant, or of a new one."""
    now, number = service.clock.now, next(_numbers)
    new = NewTenant(new_id(now), "company", f"residence-{number}", f"Residence {number}", now)

    def write(tx: Any) -> Tenant:
        place: Tenant = tenant or tx.tenants.add(new)
        tx.tenants.add_membership(NewMembership(account.id, place.id, role, now))
        return place

    joined: Tenant = service.world.database.write(write)
    return joined


def app_of(service: Running, account: Account) -> pyotp.TOTP:
    """Somebody's authenticator app, from now on."""
    factor_id, secret = new_id(service.clock.now), service.world.totp.new_secret()
    factor = Factor(
        id=factor_id,
        account_id=account.id,
        type=FactorType.TOTP,
        created_at=service.clock.now,
        sealed_secret=seal_seed(service.world, factor_id, secret),
    )
    service.world.database.write(lambda tx: tx.factors.put(factor))
    return pyotp.TOTP(secret)


def codes_by_mail(service: Running, account: Account) -> None:
    """Somebody proves themselves with codes by mail, from now on."""
    now = service.clock.now
    factor = Factor(id=new_id(now), account_id=account.id, type=FactorType.EMAIL_OTP, created_at=now)
    service.world.database.write(lambda tx: tx.factors.put(factor))


def invitation(service: Running, host: Resident, email: str, role: str = "user") -> str:
    """The token of an invitation that has not been answered."""
    now, token = service.clock.now, service.world.secrets.new_token()
    invite = Invite(
        id=new_id(now),
        tenant_id=host.tenant.id,
        email=email,
        role=role,
        locale="en",
        invited_by_id=host.account.id,
        invited_by=host.account.name,
        digest=service.world.secrets.digest(token),
        status=InviteStatus.PENDING,
        created_at=now,
        sent_at=now,
        expires_at=now + LIFETIME,
    )
    service.world.database.write(lambda tx: tx.invites.add(invite))
    return str(token)


@cache
def _hashed(passwords: Any) -> str:
    """What a service keeps of PASSWORD."""
    return str(passwords.hash(PASSWORD))
