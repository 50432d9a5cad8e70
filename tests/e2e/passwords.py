"""Passwords that every path that sets one refuses or takes alike (PW-01 to PW-04)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.running import refused

HORSE = "\N{HORSE}"
# One character for the eye and the wire, three once it is normalised.
GROWING = "\N{HEBREW LETTER SHIN WITH DAGESH AND SHIN DOT}"

REFUSED = {
    "": "INVALID_REQUEST",
    "seven77": "PASSWORD_TOO_SHORT",
    "fourteen chars": "PASSWORD_TOO_SHORT",
    HORSE * 14: "PASSWORD_TOO_SHORT",
    "e\N{COMBINING ACUTE ACCENT}" * 14: "PASSWORD_TOO_SHORT",
    "x" * 129: "INVALID_REQUEST",
    HORSE * 129: "INVALID_REQUEST",
    GROWING * 100: "PASSWORD_TOO_LONG",
    "qwertyuiop12345": "PASSWORD_BLOCKLISTED",
    "Q1W2E3R4T5Y6U7I8O9P0": "PASSWORD_BLOCKLISTED",
}
ACCEPTED = ["just fifteen xx", HORSE * 15, "x" * 128, HORSE * 128, " leading and trailing "]


async def assert_refuses(set_password: Callable[[str], Awaitable[object]], field: str) -> None:
    """Each is refused with its reason and the field's name, and never said back."""
    for password, reason in REFUSED.items():
        refusal = await refused(set_password(password))
        assert (refusal.code.name, refusal.reason, {*refusal.fields}) == ("INVALID_ARGUMENT", reason, {field}), password
        assert not password or password not in repr(refusal.on_the_wire)
