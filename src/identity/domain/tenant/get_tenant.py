"""GetTenant and UpdateTenant: what a tenant says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from identity.domain.audit import Event, record
from identity.domain.auth.setup import HOURS, OpeningHours, checked_attributes, checked_hours
from identity.domain.callers import Caller, Source
from identity.domain.errors import NotFound, TenantNameTaken
from identity.domain.ports import Transaction, World
from identity.domain.tenants import Tenant, slugify


@dataclass(frozen=True, slots=True)
class TenantChanges:
    """New values for the fields that `mask` names; one that is named but None is cleared."""

    mask: frozenset[str]
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    address: str | None = None
    opening_hours: tuple[OpeningHours, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)


def get_tenant(world: World, caller: Caller) -> Tenant:
    """The caller's active tenant. Raises NotFound where there is none."""
    return world.database.read(lambda tx: active_tenant(tx, caller))


def update_tenant(world: World, caller: Caller, changes: TenantChanges, source: Source) -> Tenant:
    """Change the active tenant; the slug stays, whatever the name becomes.

    Raises NotFound, TenantNameTaken where the policy wants names unique, or InvalidRequest.
    """
    now = world.clock()
    hours = checked_hours(changes.opening_hours, field="changes.opening_hours")
    given = checked_attributes(changes.attributes, field="changes.attributes")

    def change(tx: Transaction) -> Tenant:
        tenant = held_tenant(tx, caller)
        values: dict[str, object] = {}
        attributes = dict(tenant.attributes)
        if "name" in changes.mask and changes.name:
            _check_name(world, tx, tenant, changes.name)
            values["name"] = changes.name
        if "contact" in changes.mask:
            values |= {"email": changes.email, "phone": changes.phone, "address": changes.address}
        if "attributes" in changes.mask:
            kept = {HOURS: attributes[HOURS]} if HOURS in attributes else {}
            attributes = {**given, **kept}
        if "opening_hours" in changes.mask:
            attributes[HOURS] = hours
        if attributes != tenant.attributes:
            values["attributes"] = attributes
        updated = tx.tenants.update(tenant.id, values, now)
        fields = ",".join(sorted(changes.mask))
        record(
            tx.audit,
            Event.TENANT_CHANGED,
            now,
            account_id=caller.account_id,
            tenant_id=tenant.id,
            source=source,
            fields=fields,
        )
        return updated

    return world.database.write(change)


def active_tenant(tx: Transaction, caller: Caller) -> Tenant:
    """The tenant of the caller's session (AZ-02). Raises NotFound where there is none."""
    tenant = tx.tenants.get(caller.tenant_id) if caller.tenant_id else None
    if tenant is None:
        raise NotFound()
    return tenant


def held_tenant(tx: Transaction, caller: Caller) -> Tenant:
    """The same, whose row nobody else changes until this unit, which writes, ends."""
    if caller.tenant_id:
        tx.tenants.hold(caller.tenant_id)
    return active_tenant(tx, caller)


def _check_name(world: World, tx: Transaction, tenant: Tenant, name: str) -> None:
    if not world.policy.registration.unique_tenant_names:
        return
    other = tx.tenants.find(slugify(name))
    if other is not None and other.id != tenant.id:
        raise TenantNameTaken(field="changes.name")
