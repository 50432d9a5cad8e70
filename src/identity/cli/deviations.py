"""Where a deployment departs from the security requirements: said at every start, never silently."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from identity.domain.policy import Policy
from identity.settings import Settings


class Deviation(NamedTuple):
    """A requirement (docs/security.md) and what this deployment does instead."""

    requirement: str
    text: str


class _Rule(NamedTuple):
    requirement: str
    departs: Callable[[Policy], bool]
    text: str


_RULES = (
    _Rule("PW-01", lambda p: p.password.min_length_single_factor < 15, "short passwords are enough without a factor"),
    _Rule("PW-03", lambda p: p.password.composition, "passwords must mix kinds of characters"),
    _Rule("Z-04", lambda p: p.tells_unknown_tenants, "signing in tells which tenants there are"),
    _Rule("Z-10", lambda p: p.challenges_without_token, "a sign-in that waits for a code may be named by its address"),
    _Rule("Z-24", lambda p: not p.registration.uniform, "registering tells which addresses are taken"),
    _Rule("Z-25", lambda p: not p.verified_email_to_sign_in, "people sign in before they prove their address"),
    _Rule("JW-03", lambda p: p.lifetimes.access_token > timedelta(minutes=15), "access tokens live over 15 minutes"),
    _Rule("SE-02", lambda p: p.lifetimes.refresh_grace > timedelta(seconds=10), "the refresh grace is over 10 seconds"),
    _Rule("SE-03", lambda p: p.lifetimes.session_idle > timedelta(days=7), "idle sessions live over 7 days"),
    _Rule("SE-03", lambda p: p.lifetimes.session > timedelta(days=30), "sessions live over 30 days"),
    _Rule("SE-06", lambda p: p.max_sessions > 20, "an account may have over 20 sessions"),
    _Rule("LO-03", lambda p: not p.new_device_notice, "nobody is told of a sign-in on a new device"),
    _Rule("RC-02", lambda p: p.lifetimes.password_reset > timedelta(minutes=60), "reset links live over an hour"),
    _Rule("RC-02", lambda p: p.lifetimes.email_verification > timedelta(hours=24), "verify links live over a day"),
    _Rule("RC-02", lambda p: p.lifetimes.temporary_password > timedelta(hours=24), "first passwords live over a day"),
)


def deviations(policy: Policy, settings: Settings) -> list[Deviation]:
    """Every departure, in the order of the list above."""
    found = [Deviation(rule.requirement, rule.text) for rule in _RULES if rule.departs(policy)]
    if not settings.is_local and settings.tls_client_ca is None:
        found.append(Deviation("TR-01", "whoever reaches the port may call: no client certificate is asked for"))
    if settings.reflection and not settings.is_local:
        found.append(Deviation("TR-06", "reflection answers everybody who reaches the port"))
    return found
