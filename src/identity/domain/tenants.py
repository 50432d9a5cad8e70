"""Tenants and memberships: the companies, associations or salons that people belong to."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from identity.domain.errors import TenantNameTaken

if TYPE_CHECKING:
    from identity.domain.account.read_accounts import Filter
    from identity.domain.accounts import Account


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant. `attributes` holds what a product adds, such as opening hours."""

    id: UUID
    number: int
    kind: str
    slug: str
    name: str
    created_at: datetime
    updated_at: datetime
    email: str | None = None
    phone: str | None = None
    address: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    suspended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A tenant about to be written; the database gives it its number."""

    id: UUID
    kind: str
    slug: str
    name: str
    created_at: datetime
    email: str | None = None
    phone: str | None = None
    address: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    suspended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """An account's place in a tenant."""

    number: int
    account_id: UUID
    tenant_id: UUID
    role: str
    created_at: datetime
    updated_at: datetime
    department_id: str | None = None
    team_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewMembership:
    """A membership about to be written; the database gives it its number."""

    account_id: UUID
    tenant_id: UUID
    role: str
    created_at: datetime
    department_id: str | None = None
    team_ids: tuple[str, ...] = ()


class TenantStore(Protocol):
    """Rows of tenants and memberships."""

    def add(self, tenant: NewTenant) -> Tenant | None:
        """Write a new tenant; None when the slug is taken."""

    def get(self, tenant_id: UUID) -> Tenant | None: ...

    def find(self, slug: str) -> Tenant | None: ...

    def update(self, tenant_id: UUID, values: Mapping[str, object], now: datetime) -> Tenant:
        """Write new values of columns."""

    def add_membership(self, membership: NewMembership) -> Membership: ...

    def hold(self, tenant_id: UUID) -> None:
        """Hold the tenant's row until this unit ends."""

    def membership(self, account_id: UUID, tenant_id: UUID) -> Membership | None: ...

    def update_membership(
        self,
        account_id: UUID,
        tenant_id: UUID,
        *,
        role: str,
        department_id: str | None,
        team_ids: tuple[str, ...],
        now: datetime,
    ) -> None:
        """Write an account's place in a tenant anew."""

    def remove_membership(self, account_id: UUID, tenant_id: UUID) -> None: ...

    def roles_of_active_members(self, tenant_id: UUID) -> list[str]:
        """The role keys that active members of a tenant have, each once."""

    def members(
        self, tenant_id: UUID, wanted: Filter, *, after: list[str] | None, limit: int
    ) -> list[tuple[Account, Membership]]:
        """A page of a tenant's accounts, from behind `after`: the sort key and the number of the last one seen."""

    def memberships(self, account_id: UUID) -> list[tuple[Tenant, Membership]]:
        """The tenants an account belongs to, oldest membership first."""


def slugify(name: str) -> str:
    """The slug of a tenant's name: lower-case ASCII letters, digits and single hyphens, 1 to 63 characters."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:56].strip("-") or "tenant"


def add_tenant(tenants: TenantStore, tenant: NewTenant, *, unique_name: bool = False) -> Tenant:
    """Write a tenant under its slug, or under the first numbered one that is free (F-06).

    With `unique_name` a taken slug means a taken name. Raises TenantNameTaken.
    """
    for attempt in range(1, 6):
        slug = tenant.slug if attempt == 1 else f"{tenant.slug}-{attempt}"
        if added := tenants.add(replace(tenant, slug=slug)):
            return added
        if unique_name:
            break
    else:
        # Five like-named tenants are a crowd: the rest get a part of their id, which nobody else has.
        if added := tenants.add(replace(tenant, slug=f"{tenant.slug}-{tenant.id.hex[-6:]}")):
            return added
    raise TenantNameTaken(field="tenant_name")
