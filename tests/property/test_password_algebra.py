"""P-09: a password opens an account exactly when it is the same text, as Unicode counts texts the same (PW-02, PW-03).

The arithmetic of it is tested with the hash itself (`tests/crypto/test_passwords.py`); here it goes the whole way.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.property.exploring import Bridge, explore
from tests.running import PASSWORD, Refusal, Running

from identity_pb.v1 import auth_service_pb2 as auth

LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
PASSWORDS = st.text(LETTERS, min_size=15, max_size=128)
VARIANTS: dict[str, Callable[[str], str]] = {
    "composed": lambda text: unicodedata.normalize("NFC", text),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "compatible": lambda text: unicodedata.normalize("NFKC", text),
    "trimmed": str.strip,
    "lower": str.lower,
    "swapped": str.swapcase,
    "cut": lambda text: text[:-1],
    "longer": lambda text: text + " ",
    "another last": lambda text: text[:-1] + ("a" if text[-1] != "a" else "b"),
}


async def test_P_09_a_password_opens_exactly_what_its_own_text_opens(service: Running) -> None:
    """Whatever is set, its normal forms sign in and every other variant of it fails."""
    bridge, email = Bridge(), await service.verified()
    present = [PASSWORD]

    @given(PASSWORDS, st.lists(st.sampled_from(sorted(VARIANTS)), min_size=4, max_size=4, unique=True))
    def opens(password: str, variants: list[str]) -> None:
        assume(unicodedata.normalize("NFC", password) != unicodedata.normalize("NFC", present[0]))
        change = auth.ChangePasswordRequest(identifier=email, current_password=present[0], new_password=password)
        answer = bridge.ask(service.auth.ChangePassword, change)
        if isinstance(answer, Refusal):
            assert answer.reason in ("PASSWORD_TOO_LONG", "PASSWORD_BLOCKLISTED", "INVALID_REQUEST"), answer
            return
        present[0] = password
        for variant in variants:
            other = VARIANTS[variant](password)
            same = unicodedata.normalize("NFC", other) == unicodedata.normalize("NFC", password)
            answer = bridge.ask(service.login, email, other)
            assert isinstance(answer, Refusal) != same or answer.reason == "INVALID_REQUEST", (variant, answer)
        bridge.call(service.login, email, password)

    await explore(opens, examples=6, salt=service.world.database.dialect)
