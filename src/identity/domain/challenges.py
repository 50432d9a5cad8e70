"""Challenges: sign-ins that are half done, and what they wait for (LG-07).

A challenge is no session and no bearer: it is good for the next step of one sign-in and nothing else.
Only the digest of its token is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from identity.domain.errors import TokenExpired, TokenInvalid
from identity.domain.sessions import Device

LIFETIME = timedelta(minutes=10)
"""How long a half-done sign-in waits; a mailed code lives no longer either (OT-04)."""

TRIES = 5
"""How many wrong codes a challenge survives (OT-04)."""


class Stage(StrEnum):
    """What a challenge waits for; one of another stage does not exist for its reader."""

    MFA = "mfa"
    TENANT = "tenant"
    ENROLMENT = "enrolment"
    PROOF = "proof"


@dataclass(frozen=True, slots=True)
class Challenge:
    """A step that waits for its answer, with everything that the finished sign-in will need.

    `sealed` is what only the service may read until then, such as a seed being enrolled; `known_device` is
    the device that the password came from, if that is known (LG-03).
    """

    digest: bytes = field(repr=False)
    account_id: UUID
    stage: Stage
    created_at: datetime
    expires_at: datetime
    amr: tuple[str, ...] = ()
    tenant_slug: str | None = None
    tenant_id: UUID | None = None
    device: Device = Device()
    origin: str = ""
    remember: bool | None = None
    tries: int = 0
    code_digest: bytes | None = field(default=None, repr=False)
    code_sent_at: datetime | None = None
    sealed: bytes | None = field(default=None, repr=False)
    consumed_at: datetime | None = None
    known_device: UUID | None = None


class ChallengeStore(Protocol):
    """Rows of challenges."""

    def add(self, challenge: Challenge) -> None: ...

    def get(self, digest: bytes, stage: Stage) -> Challenge | None: ...

    def newest(self, account_id: UUID, stage: Stage, now: datetime) -> Challenge | None:
        """The newest challenge of an account that still waits."""

    def answerable(self, account_id: UUID, stage: Stage, now: datetime, *, fingerprint: str | None) -> Challenge | None:
        """The challenge that a code is for: of those that wait, the one with the newest mailed code, else the newest.

        With `fingerprint`, from that device.
        """

    def set_code(self, digest: bytes, *, code_digest: bytes, now: datetime) -> None:
        """Give a challenge a new mailed code; the older one dies."""

    def count_try(self, digest: bytes, *, most: int, now: datetime) -> bool:
        """Charge an answer before it is looked at; False when the challenge is over or had its tries."""

    def consume(self, digest: bytes, stage: Stage, now: datetime) -> Challenge | None:
        """Use a challenge up, in one conditional statement; None unless it was waiting."""

    def discard(self, account_id: UUID, now: datetime, stage: Stage | None = None) -> None:
        """End every challenge of an account, or those of a stage.

        So none outlives a change of password, factor or status, and no enrolment the session that began it.
        """


def check(challenge: Challenge | None, now: datetime) -> Challenge:
    """The challenge, if it waits. Raises TokenInvalid for an unknown or used one, TokenExpired for a late one."""
    if challenge is None or challenge.consumed_at is not None:
        raise TokenInvalid(field="challenge_token")
    if now >= challenge.expires_at:
        raise TokenExpired(field="challenge_token")
    return challenge
