from __future__ import annotations

import subprocess
import sys

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from identity.crypto.common_passwords import is_common


@pytest.mark.parametrize("password", ["password", "12345678", "qwertyuiop", "PassWord", "TRUSTNO1", "iloveyou"])
def test_PW_04_a_listed_password_is_common_in_any_case(password: str) -> None:
    assert is_common(password)


@pytest.mark.parametrize(
    "password",
    [
        "",
        " password",
        "password ",
        "password-of-mine",
        "my password is long",
        "correct horse battery staple",
        "vR7#mq!Zp0wLx2",
    ],
)
def test_PW_04_only_the_whole_string_counts(password: str) -> None:
    assert not is_common(password)


def test_PW_04_the_list_is_longer_than_the_3000_that_are_asked_for() -> None:
    listed = FREQUENCY_LISTS["passwords"]
    assert len(listed) == 30_000
    assert all(is_common(word) for word in listed)


def test_the_list_is_not_loaded_before_somebody_asks() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, identity.crypto.common_passwords; print('zxcvbn' in sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert loaded.stdout.strip() == "False"
