"""Rows of accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, case, delete, select, update

from identity.domain.accounts import Account, AccountStatus, NewAccount
from identity.store.insert import insert_or_ignore
from identity.store.tables import accounts

_COLUMNS = tuple(accounts.c)
_NAMES = tuple(column.name for column in _COLUMNS)
_get = select(*_COLUMNS).where(accounts.c.id == bindparam("id"))
_by_email = select(*_COLUMNS).where(accounts.c.email == bindparam("email"))
_by_phone = select(*_COLUMNS).where(accounts.c.phone == bindparam("phone"))
# NO KEY UPDATE: whoever writes a row that refers to the account does not wait, and cannot be in the way of the holder.
_hold = _get.with_for_update(key_share=True)
_lock = _get.where(accounts.c.password_hash == bindparam("proven")).with_for_update(key_share=True)
_rehash = update(accounts).where(accounts.c.id == bindparam("account")).values(password_hash=bindparam("stored"))
_count_sign_in = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(
        sign_in_count=accounts.c.sign_in_count + 1,
        last_sign_in_at=accounts.c.current_sign_in_at,
        last_sign_in_ip=accounts.c.current_sign_in_ip,
        current_sign_in_at=bindparam("now"),
        current_sign_in_ip=bindparam("ip"),
    )
    .returning(*_COLUMNS)
)
_note_lock = update(accounts).where(accounts.c.id == bindparam("account")).values(locked_at=bindparam("now"))
_unlock = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(
        locked_at=None,
        status=case(
            (accounts.c.status == AccountStatus.LOCKED.value, AccountStatus.ACTIVE.value), else_=accounts.c.status
        ),
    )
)
_spend_password = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"), accounts.c.password_expires_at.is_not(None))
    .values(password_expires_at=bindparam("now"))
)
_remove = delete(accounts).where(accounts.c.id == bindparam("account"))
_set_password = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(
        password_hash=bindparam("stored"),
        require_password_change=False,
        password_expires_at=None,
        # A new password is how its owner gets out of a lock.
        status=case(
            (accounts.c.status == AccountStatus.LOCKED.value, AccountStatus.ACTIVE.value), else_=accounts.c.status
        ),
        locked_at=None,
        updated_at=bindparam("now"),
    )
)
_verify_email = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"), accounts.c.email == bindparam("address"))
    .values(email_verified_at=bindparam("now"), updated_at=bindparam("now"))
    .returning(*_COLUMNS)
)


class Accounts:
    """Implements `domain.accounts.AccountStore`."""

    def __init__(self, connection: Connection, changed: Callable[[UUID], None]) -> None:
        self._connection = connection
        self._changed = changed

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
                "require_password_change": account.require_password_change,
                "password_expires_at": account.password_expires_at,
                "sign_in_count": 0,
                "provider": "local",
                "created_at": account.created_at,
                "updated_at": account.created_at,
            },
        ).first()
        return None if row is None else to_account(row)

    def get(self, account_id: UUID) -> Account | None:
        row = self._connection.execute(_get, {"id": account_id}).first()
        return None if row is None else to_account(row)

    def find(self, *, email: str | None = None, phone: str | None = None) -> Account | None:
        query, value = (_by_email, {"email": email}) if email is not None else (_by_phone, {"phone": phone})
        row = self._connection.execute(query, value).first()
        return None if row is None else to_account(row)

    def lock(self, account_id: UUID, *, password_hash: str) -> Account | None:
        values = {"id": account_id, "proven": password_hash}
        row = self._connection.execute(_lock, values).first()
        return None if row is None else to_account(row)

    def hold(self, account_id: UUID) -> Account | None:
        row = self._connection.execute(_hold, {"id": account_id}).first()
        return None if row is None else to_account(row)

    def rehash(self, account_id: UUID, password_hash: str) -> None:
        self._changed(account_id)
        self._connection.execute(_rehash, {"account": account_id, "stored": password_hash})

    def count_sign_in(self, account_id: UUID, *, now: datetime, ip: str | None) -> Account:
        self._changed(account_id)
        values = {"account": account_id, "now": now, "ip": ip}
        return to_account(self._connection.execute(_count_sign_in, values).one())

    def update(self, account_id: UUID, values: Mapping[str, object], now: datetime) -> None:
        self._changed(account_id)
        self._connection.execute(update(accounts).where(accounts.c.id == account_id).values(**values, updated_at=now))

    def note_lock(self, account_id: UUID, now: datetime) -> None:
        self._changed(account_id)
        self._connection.execute(_note_lock, {"account": account_id, "now": now})

    def unlock(self, account_id: UUID) -> None:
        self._changed(account_id)
        self._connection.execute(_unlock, {"account": account_id})

    def spend_password(self, account_id: UUID, now: datetime) -> None:
        self._changed(account_id)
        self._connection.execute(_spend_password, {"account": account_id, "now": now})

    def remove(self, account_id: UUID) -> None:
        self._changed(account_id)
        self._connection.execute(_remove, {"account": account_id})

    def set_password(self, account_id: UUID, *, password_hash: str, now: datetime) -> None:
        self._changed(account_id)
        self._connection.execute(_set_password, {"account": account_id, "stored": password_hash, "now": now})

    def verify_email(self, account_id: UUID, *, email: str, now: datetime) -> Account | None:
        self._changed(account_id)
        values = {"account": account_id, "address": email, "now": now}
        row = self._connection.execute(_verify_email, values).first()
        return None if row is None else to_account(row)


def to_account(row: Sequence[Any]) -> Account:
    """The domain's value of a row of `accounts`."""
    values = dict(zip(_NAMES, row, strict=True))
    values["status"] = AccountStatus(values["status"])
    return Account(**values)
