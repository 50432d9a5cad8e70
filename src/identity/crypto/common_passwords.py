"""The passwords that everybody tries first."""

from __future__ import annotations

from functools import cache


def is_common(password: str) -> bool:
    """Tells whether the whole password, apart from case, is among the 30,000 most common ones (PW-04).

    The list is the one that the zxcvbn distribution carries. The first call loads it, in some 70 ms.
    """
    return password.casefold() in _common_passwords()


@cache
def _common_passwords() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # some 20 MB: only if asked

    return frozenset(word.casefold() for word in FREQUENCY_LISTS["passwords"])
