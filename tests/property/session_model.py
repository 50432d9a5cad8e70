"""What the sessions of one account may do, by the rules alone: the model behind P-02 and P-05.

Nothing here knows the service. Every step gives the next state and the answer that a client must get; states are
values, so that a search can go back to one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

GRACE = timedelta(seconds=10)
ACCESS = timedelta(minutes=15)
LEEWAY = timedelta(seconds=5)
IDLE = timedelta(days=7)
ABSOLUTE = timedelta(days=30)
KEPT = timedelta(days=30)
MOST_SESSIONS = 20
FREE, LIMIT, LONGEST_WAIT = 5, 100, timedelta(minutes=15)


@dataclass(frozen=True)
class Tokens:
    """What a client gets of a session, by the counter of its refresh token."""

    counter: int
    reused: bool = False


Answer = Tokens | str
"""Tokens, or the reason of a refusal."""


@dataclass(frozen=True)
class Family:
    """One sign-in and the refresh tokens that follow from it, of which one is live at a time."""

    id: str
    opened_at: datetime
    idle_until: datetime
    until: datetime
    counter: int = 0
    rotated_at: datetime | None = None
    over_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        return self.over_at is None and now < self.idle_until and now < self.until

    def is_forgotten(self, now: datetime) -> bool:
        """Whether housekeeping removes it."""
        ends = (self.over_at, self.idle_until, self.until)
        return any(end is not None and end < now - KEPT for end in ends)

    def refreshed(self, counter: int, now: datetime) -> tuple[Family, Answer]:
        """A refresh token of this family is presented (F-01, SE-02)."""
        if self.over_at is not None:
            return self, "SESSION_REVOKED"
        if not self.is_live(now):
            return self, "TOKEN_EXPIRED"
        if counter == self.counter:
            rotated = replace(self, counter=counter + 1, rotated_at=now, idle_until=now + IDLE)
            return rotated, Tokens(rotated.counter)
        if counter == self.counter - 1 and self.rotated_at is not None and now < self.rotated_at + GRACE:
            return self, Tokens(self.counter, reused=True)
        return replace(self, over_at=now), "TOKEN_REUSED"


@dataclass(frozen=True)
class Attempts:
    """The budget of an account's password: five are free, then every one doubles the wait (LG-02)."""

    charges: int = 0
    until: datetime | None = None

    def charged(self, now: datetime) -> Attempts | None:
        """One more attempt that has not succeeded yet; None while it would have to wait."""
        if self.charges >= LIMIT or (self.until is not None and now < self.until):
            return None
        charges = self.charges + 1
        wait = timedelta(0) if charges < FREE else min(timedelta(seconds=2 ** (charges - FREE)), LONGEST_WAIT)
        return Attempts(charges, now + wait)


@dataclass(frozen=True)
class Badge:
    """An access token, by what it says."""

    family: str
    expires_at: datetime = field(repr=False)

    def is_late(self, now: datetime) -> bool:
        return now >= self.expires_at + LEEWAY


@dataclass(frozen=True)
class Person:
    """An account, and all that decides what its tokens are good for."""

    password: str
    disabled: bool = False
    attempts: Attempts = Attempts()
    has_link: bool = False
    families: tuple[Family, ...] = ()

    def family(self, id: str) -> Family | None:
        return next((family for family in self.families if family.id == id), None)

    def live(self, now: datetime) -> list[Family]:
        """The families that still work, the newest first."""
        live = [family for family in self.families if family.is_live(now)]
        return sorted(live, key=lambda family: (family.opened_at, family.id), reverse=True)

    # What gives tokens.

    def proven(self, password: str, now: datetime) -> tuple[Person, bool]:
        """A password is tried; and whether it lets somebody in, who then gives the attempts back."""
        charged = self.attempts.charged(now)
        if charged is None:
            return self, False
        return replace(self, attempts=charged), password == self.password and not self.disabled

    def entered(self, id: str, now: datetime, *, remembered: bool = True) -> Person:
        """A session is opened; past the twentieth the oldest ends (SE-06)."""
        lifetime = ABSOLUTE if remembered else ACCESS
        fresh = Family(id, now, idle_until=now + min(IDLE, lifetime), until=now + lifetime)
        rest = self.without({family.id for family in self.live(now)[MOST_SESSIONS - 1 :]}, now)
        return replace(rest, attempts=Attempts(), families=(*rest.families, fresh))

    def refreshed(self, id: str, counter: int, now: datetime) -> tuple[Person, Answer]:
        """A refresh token is presented."""
        family = self.family(id)
        if family is None:
            return self, "TOKEN_INVALID"
        after, answer = family.refreshed(counter, now)
        families = tuple(after if each.id == id else each for each in self.families)
        return replace(self, families=families), answer

    def badge(self, id: str, now: datetime) -> Badge:
        """The access token that a family gets now, which never outlives it."""
        family = self.family(id)
        assert family is not None
        return Badge(id, min(now + ACCESS, family.until).replace(microsecond=0))

    def refuses(self, badge: Badge, now: datetime) -> str:
        """Why an access token opens nothing; empty if it does."""
        if badge.is_late(now):
            return "TOKEN_EXPIRED"
        family = self.family(badge.family)
        return "SESSION_REVOKED" if family is None or family.over_at is not None else ""

    def hides(self, badge: Badge, now: datetime) -> str:
        """Why GetSession, which looks at the session itself as well, is refused; empty if it is not."""
        family = self.family(badge.family)
        gone = family is None or not family.is_live(now)
        return self.refuses(badge, now) or ("SESSION_REVOKED" if gone else "")

    def moments(self, now: datetime) -> list[datetime]:
        """When the rules change by themselves, from now on."""
        live = self.live(now)
        graces = [family.rotated_at + GRACE for family in live if family.rotated_at is not None]
        ends = [end for family in live for end in (family.idle_until, family.until)]
        return sorted({moment for moment in (*graces, *ends) if moment > now})

    # What takes them away.

    def without(self, ids: set[str], now: datetime) -> Person:
        """Some sessions are ended; for those that are over already nothing changes."""

        def ended(family: Family) -> Family:
            return replace(family, over_at=now) if family.id in ids and family.over_at is None else family

        return replace(self, families=tuple(map(ended, self.families)))

    def alone(self, now: datetime, keep: str | None = None) -> tuple[Person, int]:
        """Every live session but one is ended; and how many that are."""
        ids = {family.id for family in self.live(now)} - {keep}
        return self.without(ids, now), len(ids)

    def with_password(self, password: str, now: datetime, keep: str | None = None) -> tuple[Person, int]:
        """The password becomes another one (PW-06, RC-05)."""
        person, ended = self.alone(now, keep)
        return replace(person, password=password, attempts=Attempts(), has_link=False), ended

    def switched(self, now: datetime, *, disabled: bool) -> tuple[Person, int]:
        """An administrator disables or enables the account."""
        person, ended = self.alone(now) if disabled else (self, 0)
        return replace(person, disabled=disabled, has_link=person.has_link and not disabled), ended

    def swept(self, now: datetime) -> Person:
        """Housekeeping removes what ended long ago."""
        return replace(self, families=tuple(each for each in self.families if not each.is_forgotten(now)))
