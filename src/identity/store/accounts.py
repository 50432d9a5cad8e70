"""Rows of accounts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Text, bindparam, func, select, update

from identity.domain.accounts import Account, AccountStatus, NewAccount
from identity.store.insert import insert_or_ignore
from identity.store.tables import accounts

_COLUMNS = tuple(accounts.c)
_get = select(*_COLUMNS).where(accounts.c.id == bindparam("id"))
_by_email = select(*_COLUMNS).where(accounts.c.email == bindparam("email"))
_by_phone = select(*_COLUMNS).where(accounts.c.phone == bindparam("phone"))
_lock = _get.where(accounts.c.password_hash == bindparam("proven")).with_for_update()
_count_sign_in = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(
        password_hash=func.coalesce(bindparam("rehashed", type_=Text()), accounts.c.password_hash),
        sign_in_count=accounts.c.sign_in_count + 1,
        last_sign_in_at=accounts.c.current_sign_in_at,
        last_sign_in_ip=accounts.c.current_sign_in_ip,
        current_sign_in_at=bindparam("now"),
        current_sign_in_ip=bindparam("ip"),
    )
    .returning(*_COLUMNS)
)
_set_password = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(
        password_hash=bindparam("stored"),
        require_password_change=False,
        password_expires_at=None,
        updated_at=bindparam("now"),
    )
    .returning(accounts.c.number)
)
_verify_email = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"), accounts.c.email == bindparam("address"))
    .values(email_verified_at=bindparam("now"), updated_at=bindparam("now"))
    .returning(*_COLUMNS)
)


class Accounts:
    """Implements `domain.accounts.AccountStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, account: NewAccount) -> Account | None:
        row = self._connection.execute(
            insert_or_ignore(self._connection, accounts).returning(*_COLUMNS),
            {
                "id": account.id,
                "email": account.email,
                "phone": account.phone,
                "first_name": account.first_name,
                "last_name": account.last_name,
                "name": account.name,
                "locale": account.locale,
                "status": AccountStatus.ACTIVE.value,
                "role": account.role,
                "email_verified_at": account.email_verified_at,
                "password_hash": account.password_hash,
                "require_password_change": False,
                "sign_in_count": 0,
                "provider": "local",
                "created_at": account.created_at,
                "updated_at": account.created_at,
            },
        ).mappings().first()
        return row and to_account(row)

    def get(self, account_id: UUID) -> Account | None:
        row = self._connection.execute(_get, {"id": account_id}).mappings().first()
        return row and to_account(row)

    def find(self, *, email: str | None = None, phone: str | None = None) -> Account | None:
        query, value = (_by_email, {"email": email}) if email is not None else (_by_phone, {"phone": phone})
        row = self._connection.execute(query, value).mappings().first()
        return row and to_account(row)

    def lock(self, account_id: UUID, *, password_hash: str) -> Account | None:
        values = {"id": account_id, "proven": password_hash}
        row = self._connection.execute(_lock, values).mappings().first()
        return row and to_account(row)

    def count_sign_in(self, account_id: UUID, *, now: datetime, ip: str | None, rehashed: str | None) -> Account:
        values = {"account": account_id, "now": now, "ip": ip, "rehashed": rehashed}
        return to_account(self._connection.execute(_count_sign_in, values).mappings().one())

    def set_password(self, account_id: UUID, *, password_hash: str, now: datetime, replaces: str | None = None) -> bool:
        statement = _set_password if replaces is None else _set_password.where(accounts.c.password_hash == replaces)
        values = {"account": account_id, "stored": password_hash, "now": now}
        return self._connection.execute(statement, values).first() is not None

    def verify_email(self, account_id: UUID, *, email: str, now: datetime) -> Account | None:
        values = {"account": account_id, "address": email, "now": now}
        row = self._connection.execute(_verify_email, values).mappings().first()
        return row and to_account(row)


def to_account(row: RowMapping) -> Account:
    """The domain's value of a row."""
    values = {column.name: row[column] for column in _COLUMNS}
    return Account(**{**values, "status": AccountStatus(values["status"])})
