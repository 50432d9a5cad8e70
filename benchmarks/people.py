"""Accounts to measure with, written straight into the database: each one the owner of a company of their own."""

from __future__ import annotations

from dataclasses import replace

from identity.domain.accounts import NewAccount
from identity.domain.ids import new_id
from identity.domain.ports import Transaction, World
from identity.domain.tenants import NewMembership, NewTenant

PASSWORD = "correct horse battery staple"


def email(number: int) -> str:
    """The address of a person."""
    return f"person{number}@example.org"


def seed(world: World, count: int) -> None:
    """Write `count` people who may sign in. They share one hash, so that it costs one."""
    now = world.clock()
    password_hash = world.passwords.hash(PASSWORD)

    def write(tx: Transaction) -> None:
        for number in range(count):
            account = NewAccount(
                id=new_id(now),
                email=email(number),
                phone=None,
                first_name="Ada",
                last_name="Lovelace",
                name="Ada Lovelace",
                locale="en",
                role=None,
                password_hash=password_hash,
                created_at=now,
                email_verified_at=now,
            )
            tenant = NewTenant(
                id=new_id(now), kind="company", slug=f"company-{number}", name=f"Company {number}", created_at=now
            )
            tx.accounts.add(account)
            tx.tenants.add(replace(tenant, email="office@example.org"))
            tx.tenants.add_membership(
                NewMembership(account_id=account.id, tenant_id=tenant.id, role="owner", created_at=now)
            )

    world.database.write(write)
