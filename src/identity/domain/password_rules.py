"""What a new password must be (PW-01 to PW-04); the same check on every path that sets one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from identity.domain.accounts import PersonName
from identity.domain.errors import (
    PasswordBlocklisted,
    PasswordComposition,
    PasswordTooLong,
    PasswordTooShort,
)
from identity.domain.ports import World

MAX_CHARACTERS = 128
MAX_BYTES = 512


def check_password(
    world: World, password: str, *, words: Iterable[str | None], field: str, second_factor: bool = False
) -> None:
    """Refuse a password that is too short, too long, too common or one of the person's own `words`.

    Raises PasswordTooLong, PasswordTooShort, PasswordComposition or PasswordBlocklisted.
    """
    rules = world.policy.password
    text = unicodedata.normalize("NFC", password)
    if len(text) > MAX_CHARACTERS or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PasswordTooLong(field=field, max_length=str(MAX_CHARACTERS))
    if (refused := too_short(world, password, field=field, second_factor=second_factor)) is not None:
        raise refused
    if rules.composition and (missing := _missing_classes(text)):
        raise PasswordComposition(field=field, missing=",".join(missing))
    own = {word.casefold() for word in words if word}
    if text.casefold() in own or world.is_common_password(text):
        raise PasswordBlocklisted(field=field)


def too_short(world: World, password: str, *, field: str, second_factor: bool) -> PasswordTooShort | None:
    """What to refuse a password with that is too short, by itself or beside a second factor (PW-01)."""
    rules = world.policy.password
    shortest = rules.min_length if second_factor else rules.min_length_single_factor
    enough = len(unicodedata.normalize("NFC", password)) >= shortest
    return None if enough else PasswordTooShort(field=field, min_length=str(shortest))


def context_words(email: str | None, name: PersonName, *others: str | None) -> list[str | None]:
    """The words a person's password must not be: the address, its parts, and every name given."""
    words = ["identity", name.first, name.last, name.display, *others]
    if email:
        local, _, domain = email.partition("@")
        words += [email, local, domain, domain.partition(".")[0]]
    return words


def _missing_classes(text: str) -> list[str]:
    found = {
        "upper": any(character.isupper() for character in text),
        "lower": any(character.islower() for character in text),
        "digit": any(character.isdigit() for character in text),
        "special": any(not character.isalnum() for character in text),
    }
    return [name for name, is_there in found.items() if not is_there]
