"""Rows of second factors and recovery codes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, select, update

from identity.domain.factors import Factor, FactorType
from identity.store.insert import insert
from identity.store.tables import accounts, factors, recovery_codes

_of = select(*factors.c).where(factors.c.account_id == bindparam("account")).order_by(factors.c.created_at)
_remove = delete(factors).where(factors.c.id == bindparam("factor"))
_note = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(two_factor_enabled=exists().where(factors.c.account_id == accounts.c.id))
)
_use_step = (
    update(factors)
    .where(
        factors.c.id == bindparam("factor"),
        func.coalesce(factors.c.last_step, -1) < bindparam("step"),
    )
    .values(last_step=bindparam("step"), last_used_at=bindparam("now"))
    .returning(factors.c.id)
)
_touch = update(factors).where(factors.c.id == bindparam("factor")).values(last_used_at=bindparam("now"))
_forget_codes = delete(recovery_codes).where(recovery_codes.c.account_id == bindparam("account"))
_use_code = (
    delete(recovery_codes)
    .where(recovery_codes.c.digest == bindparam("presented"), recovery_codes.c.account_id == bindparam("account"))
    .returning(recovery_codes.c.digest)
)
_codes_left = (
    select(func.count()).select_from(recovery_codes).where(recovery_codes.c.account_id == bindparam("account"))
)


class Factors:
    """Implements `domain.factors.FactorStore`."""

    def __init__(self, connection: Connection, changed: Callable[[UUID], None]) -> None:
        self._connection = connection
        self._changed = changed

    def of(self, account_id: UUID) -> list[Factor]:
        return [_to_factor(row) for row in self._connection.execute(_of, {"account": account_id})]

    def put(self, factor: Factor) -> Factor:
        values = {
            "id": factor.id,
            "account_id": factor.account_id,
            "type": factor.type.value,
            "created_at": factor.created_at,
            "label": factor.label,
            "sealed_secret": factor.sealed_secret,
            "last_step": factor.last_step,
            "last_used_at": factor.last_used_at,
        }
        fresh = {name: value for name, value in values.items() if name not in ("account_id", "type")}
        statement = (
            insert(self._connection, factors)
            .values(values)
            .on_conflict_do_update(index_elements=[factors.c.account_id, factors.c.type], set_=fresh)
        )
        self._connection.execute(statement)
        self._changed(factor.account_id)
        self._connection.execute(_note, {"account": factor.account_id})
        return factor

    def remove(self, factor: Factor) -> None:
        self._connection.execute(_remove, {"factor": factor.id})
        self._changed(factor.account_id)
        self._connection.execute(_note, {"account": factor.account_id})

    def use_step(self, factor_id: UUID, *, step: int, now: datetime) -> bool:
        values = {"factor": factor_id, "step": step, "now": now}
        return self._connection.execute(_use_step, values).first() is not None

    def touch(self, factor_id: UUID, now: datetime) -> None:
        self._connection.execute(_touch, {"factor": factor_id, "now": now})

    def set_recovery_codes(self, account_id: UUID, digests: list[bytes], now: datetime) -> None:
        self._connection.execute(_forget_codes, {"account": account_id})
        if digests:
            rows = [{"digest": digest, "account_id": account_id, "created_at": now} for digest in digests]
            self._connection.execute(recovery_codes.insert(), rows)

    def use_recovery_code(self, account_id: UUID, digest: bytes, now: datetime) -> bool:
        values = {"presented": digest, "account": account_id}
        return self._connection.execute(_use_code, values).first() is not None

    def recovery_codes_left(self, account_id: UUID) -> int:
        return self._connection.execute(_codes_left, {"account": account_id}).scalar_one()


def _to_factor(row: Row[Any]) -> Factor:
    values = row._asdict()
    values["type"] = FactorType(values["type"])
    return Factor(**values)
