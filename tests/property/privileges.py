"""What people may do, as the database has it: the state that nobody may change without a proof (P-03)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from tests.running import Running

from identity.store.tables import accounts, deployment, factors, memberships, sessions


@dataclass(frozen=True)
class Account:
    """One account, as far as it decides who may enter."""

    password: str | None
    is_proven: bool
    status: str
    is_locked: bool
    must_change: bool


@dataclass(frozen=True)
class Privileges:
    """Everything that calls can gain or lose, by address, since ids are drawn anew."""

    accounts: dict[str, Account]
    memberships: dict[tuple[str, str], str]
    factors: dict[tuple[str, str], str]
    sessions: dict[str, tuple[str, tuple[str, ...]]]
    is_set_up: bool

    def has_factor(self, email: str) -> bool:
        return any(whose == email for whose, _ in self.factors)


def privileges(service: Running, serial: str) -> Privileges:
    """Those of everybody in a play."""

    def read(tx: Any) -> Privileges:
        def rows(*columns: Any, of: Any = None) -> list[Any]:
            query = select(accounts.c.email, *columns).where(accounts.c.email.like(f"%-{serial}@%"))
            if of is not None:
                query = query.join_from(accounts, of, of.c.account_id == accounts.c.id)
            return list(tx._connection.execute(query))

        columns = ("password_hash", "email_verified_at", "status", "locked_at", "require_password_change")
        people = rows(*(accounts.c[name] for name in columns))
        return Privileges(
            accounts={
                email: Account(password, proven is not None, status, locked is not None, must_change)
                for email, password, proven, status, locked, must_change in people
            },
            memberships={
                (email, str(tenant)): role
                for email, tenant, role in rows(memberships.c.tenant_id, memberships.c.role, of=memberships)
            },
            factors={(email, kind): str(id) for email, kind, id in rows(factors.c.type, factors.c.id, of=factors)},
            sessions={
                str(id): (email, tuple(amr.split()))
                for email, id, amr in rows(sessions.c.id, sessions.c.amr, of=sessions)
            },
            is_set_up=bool(list(tx._connection.execute(select(deployment)))),
        )

    return service.world.database.read(read)  # type: ignore[no-any-return]
