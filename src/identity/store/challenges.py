"""Rows of challenges."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, select, update

from identity.domain.challenges import Challenge, Stage
from identity.domain.sessions import Device
from identity.store.tables import challenges

_NAMES = tuple(column.name for column in challenges.c)
_DEVICE = ("device_type", "device_name", "device_os", "device_fingerprint")
_get = select(*challenges.c).where(challenges.c.digest == bindparam("digest"), challenges.c.stage == bindparam("stage"))
_waiting = (challenges.c.consumed_at.is_(None), challenges.c.expires_at > bindparam("now"))
_newest = (
    select(*challenges.c)
    .where(challenges.c.account_id == bindparam("account"), challenges.c.stage == bindparam("stage"), *_waiting)
    .order_by(challenges.c.created_at.desc())
    .limit(1)
)
_answerable = _newest.order_by(None).order_by(
    challenges.c.code_sent_at.is_(None), challenges.c.code_sent_at.desc(), challenges.c.created_at.desc()
)
_set_code = (
    update(challenges)
    .where(challenges.c.digest == bindparam("presented"))
    .values(code_digest=bindparam("code"), code_sent_at=bindparam("now"))
)
_count_try = (
    update(challenges)
    .where(challenges.c.digest == bindparam("presented"), challenges.c.tries < bindparam("most"), *_waiting)
    .values(tries=challenges.c.tries + 1)
    .returning(challenges.c.tries)
)
_consume = (
    update(challenges)
    .where(challenges.c.digest == bindparam("presented"), challenges.c.stage == bindparam("wanted"), *_waiting)
    .values(consumed_at=bindparam("now"))
    .returning(*challenges.c)
)
_discard = (
    update(challenges)
    .where(challenges.c.account_id == bindparam("account"), challenges.c.consumed_at.is_(None))
    .values(consumed_at=bindparam("now"))
)


class Challenges:
    """Implements `domain.challenges.ChallengeStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, challenge: Challenge) -> None:
        self._connection.execute(
            challenges.insert(),
            {
                "digest": challenge.digest,
                "account_id": challenge.account_id,
                "stage": challenge.stage.value,
                "created_at": challenge.created_at,
                "expires_at": challenge.expires_at,
                "amr": " ".join(challenge.amr),
                "tenant_slug": challenge.tenant_slug,
                "tenant_id": challenge.tenant_id,
                "device_type": challenge.device.type,
                "device_name": challenge.device.name,
                "device_os": challenge.device.os,
                "device_fingerprint": challenge.device.fingerprint,
                "origin": challenge.origin,
                "remember": challenge.remember,
                "tries": challenge.tries,
                "code_digest": challenge.code_digest,
                "code_sent_at": challenge.code_sent_at,
                "sealed": challenge.sealed,
                "known_device": challenge.known_device,
            },
        )

    def get(self, digest: bytes, stage: Stage) -> Challenge | None:
        return _first(self._connection.execute(_get, {"digest": digest, "stage": stage.value}).first())

    def newest(self, account_id: UUID, stage: Stage, now: datetime) -> Challenge | None:
        values = {"account": account_id, "stage": stage.value, "now": now}
        return _first(self._connection.execute(_newest, values).first())

    def answerable(self, account_id: UUID, stage: Stage, now: datetime, *, fingerprint: str | None) -> Challenge | None:
        query = _answerable
        if fingerprint is not None:
            query = query.where(challenges.c.device_fingerprint == fingerprint)
        values = {"account": account_id, "stage": stage.value, "now": now}
        return _first(self._connection.execute(query, values).first())

    def set_code(self, digest: bytes, *, code_digest: bytes, now: datetime) -> None:
        self._connection.execute(_set_code, {"presented": digest, "code": code_digest, "now": now})

    def count_try(self, digest: bytes, *, most: int, now: datetime) -> bool:
        values = {"presented": digest, "most": most, "now": now}
        return self._connection.execute(_count_try, values).first() is not None

    def consume(self, digest: bytes, stage: Stage, now: datetime) -> Challenge | None:
        values = {"presented": digest, "wanted": stage.value, "now": now}
        return _first(self._connection.execute(_consume, values).first())

    def discard(self, account_id: UUID, now: datetime, stage: Stage | None = None) -> None:
        statement = _discard if stage is None else _discard.where(challenges.c.stage == stage.value)
        self._connection.execute(statement, {"account": account_id, "now": now})


def _first(row: Row[Any] | None) -> Challenge | None:
    if row is None:
        return None
    values = dict(zip(_NAMES, row, strict=True))
    values["stage"] = Stage(values["stage"])
    values["amr"] = tuple(values["amr"].split())
    values["device"] = Device(*(values.pop(name) for name in _DEVICE))
    return Challenge(**values)
