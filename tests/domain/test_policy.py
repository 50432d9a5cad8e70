"""Policies that contradict themselves or a floor do not come into being, and say what is wrong with them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from identity.domain.policy import Lifetimes, PasswordPolicy, Policy, Registration, Role

USER = Role(key="user", name="User", level=10)


@pytest.mark.parametrize(("alone", "with_factor"), [(8, 7), (7, 8)])
def test_PW_01_no_policy_goes_below_eight(alone: int, with_factor: int) -> None:
    PasswordPolicy(min_length=8, min_length_single_factor=8)
    with pytest.raises(ValueError, match=r"below 8 characters .*PW-01"):
        PasswordPolicy(min_length=with_factor, min_length_single_factor=alone)


@pytest.mark.parametrize("seconds", [-1, 61])
def test_SE_02_the_grace_of_a_refresh_is_within_a_minute(seconds: int) -> None:
    for allowed in (0, 60):
        Lifetimes(refresh_grace=timedelta(seconds=allowed))
    with pytest.raises(ValueError, match="refresh_grace must be between 0 and 60 seconds"):
        Lifetimes(refresh_grace=timedelta(seconds=seconds))


def test_Z_24_registration_is_silent_or_signs_in() -> None:
    with pytest.raises(ValueError, match="cannot hide taken addresses and sign people in at once"):
        Registration(uniform=True, signs_in=True)


def test_Z_25_nobody_is_signed_in_before_the_proof_that_is_asked_for() -> None:
    registration = Registration(uniform=False, signs_in=True)
    Policy("fine", {"user": USER}, "user", registration=registration, verified_email_to_sign_in=False)
    with pytest.raises(ValueError, match="have to prove their address first"):
        Policy("contradiction", {"user": USER}, "user", registration=registration)


@pytest.mark.parametrize(("setup", "default"), [("king", "user"), ("user", "king")])
def test_a_policy_defines_the_roles_it_names(setup: str, default: str) -> None:
    with pytest.raises(ValueError, match="'ours' names the role 'king' but does not define it"):
        Policy("ours", {"user": USER}, setup, registration=Registration(default_role=default))
