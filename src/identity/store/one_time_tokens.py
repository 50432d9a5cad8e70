"""Rows of one-time tokens."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, select, update

from identity.domain.one_time_tokens import OneTimeToken, Purpose
from identity.store.tables import one_time_tokens as tokens

_get = select(*tokens.c).where(tokens.c.digest == bindparam("digest"), tokens.c.purpose == bindparam("purpose"))
_consume = (
    update(tokens)
    .where(
        tokens.c.digest == bindparam("presented"),
        tokens.c.purpose == bindparam("wanted"),
        tokens.c.consumed_at.is_(None),
        tokens.c.expires_at > bindparam("now"),
    )
    .values(consumed_at=bindparam("now"))
    .returning(*tokens.c)
)
_discard = (
    update(tokens)
    .where(tokens.c.account_id == bindparam("account"), tokens.c.consumed_at.is_(None))
    .values(consumed_at=bindparam("now"))
)
_supersede = _discard.where(tokens.c.purpose == bindparam("wanted"))


class OneTimeTokens:
    """Implements `domain.one_time_tokens.OneTimeTokenStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: OneTimeToken) -> None:
        self._connection.execute(
            _supersede, {"account": token.account_id, "wanted": token.purpose.value, "now": token.created_at}
        )
        self._connection.execute(
            tokens.insert(),
            {
                "digest": token.digest,
                "purpose": token.purpose.value,
                "account_id": token.account_id,
                "email": token.email,
                "created_at": token.created_at,
                "expires_at": token.expires_at,
            },
        )

    def get(self, digest: bytes, purpose: Purpose) -> OneTimeToken | None:
        return _first(self._connection.execute(_get, {"digest": digest, "purpose": purpose.value}).first())

    def consume(self, digest: bytes, purpose: Purpose, now: datetime) -> OneTimeToken | None:
        values = {"presented": digest, "wanted": purpose.value, "now": now}
        return _first(self._connection.execute(_consume, values).first())

    def discard(self, account_id: UUID, now: datetime) -> None:
        self._connection.execute(_discard, {"account": account_id, "now": now})


def _first(row: Row[tuple[object, ...]] | None) -> OneTimeToken | None:
    if row is None:
        return None
    values = row._asdict()
    return OneTimeToken(**{**values, "purpose": Purpose(values["purpose"])})
