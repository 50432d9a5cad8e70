"""The query behind a list of a tenant's accounts: filters, order, and where the page begins."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from identity.domain.account.read_accounts import Filter, Order
from identity.store.tables import accounts, memberships

_KEYS: dict[Order, ColumnElement[Any]] = {
    Order.NAME: func.lower(accounts.c.name),
    # Those without an address come last: no address begins with "~" twice.
    Order.EMAIL: func.coalesce(accounts.c.email, "~~"),
}


def members_query(tenant_id: UUID, wanted: Filter, after: list[str] | None) -> Select[Any]:
    """Accounts with their memberships, in a total order: the number decides between equals."""
    query = (
        select(*accounts.c, *memberships.c)
        .join_from(memberships, accounts, accounts.c.id == memberships.c.account_id)
        .where(memberships.c.tenant_id == tenant_id)
    )
    if wanted.role is not None:
        query = query.where(memberships.c.role == wanted.role)
    if wanted.department_id is not None:
        query = query.where(memberships.c.department_id == wanted.department_id)
    if wanted.status is not None:
        query = query.where(accounts.c.status == wanted.status.value)
    if wanted.query is not None:
        query = query.where(_begins_a_word(wanted.query))
    if wanted.order in _KEYS:
        return _ordered_by(query, _KEYS[wanted.order], after)
    newest = wanted.order is Order.NEWEST
    if after is not None:
        number = int(after[1])
        query = query.where(accounts.c.number < number if newest else accounts.c.number > number)
    return query.order_by(accounts.c.number.desc() if newest else accounts.c.number)


def _ordered_by(query: Select[Any], key: ColumnElement[Any], after: list[str] | None) -> Select[Any]:
    if after is not None:
        # The last one seen is looked up by its number, so that the database compares as it sorts.
        last = select(key).where(accounts.c.number == int(after[1])).correlate(None).scalar_subquery()
        query = query.where(or_(key > last, and_(key == last, accounts.c.number > int(after[1]))))
    return query.order_by(key, accounts.c.number)


def _begins_a_word(text: str) -> ColumnElement[bool]:
    start = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    return or_(
        func.lower(accounts.c.name).like(start, escape="\\"),
        func.lower(accounts.c.name).like("% " + start, escape="\\"),
        func.lower(accounts.c.email).like(start, escape="\\"),
    )
