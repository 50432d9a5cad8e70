"""What a deployment allows: roles, lifetimes, password and registration rules.

A preset (`identity.presets`) fills these values; nothing here reads a file or the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from identity.domain.errors import RegistrationClosed, RoleNotAllowed

Permissions = Mapping[str, Mapping[str, bool]]


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions; a higher `level` never answers to a lower one.

    `creates_tenant` is the kind of tenant that registering with this role creates; `self_register`
    False means that the role is only given by an invitation or an administrator (AZ-05). `number` is the
    small integer some products show.
    """

    key: str
    name: str
    level: int
    permissions: Permissions = field(default_factory=dict)
    requires_mfa: bool = False
    self_register: bool = False
    creates_tenant: str | None = None
    password_reset: bool = True
    number: int = 0
    built_in: bool = True


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """Lengths are in Unicode code points; 8 is a floor that no preset goes below (PW-01)."""

    min_length: int = 8
    min_length_single_factor: int = 15
    composition: bool = False

    def __post_init__(self) -> None:
        if min(self.min_length, self.min_length_single_factor) < 8:
            raise ValueError("A password policy below 8 characters is not allowed (PW-01).")


@dataclass(frozen=True, slots=True)
class Registration:
    """How people become somebody.

    `uniform` answers alike for free and taken addresses and tells the owner by mail (Z-24);
    `signs_in` returns a session at once (Z-25), which is why the two exclude each other. Without
    `name_the_conflict` a refusal does not say whether the address or the tenant's name is taken.
    """

    default_role: str = "user"
    uniform: bool = True
    signs_in: bool = False
    name_the_conflict: bool = True
    unique_tenant_names: bool = False

    def __post_init__(self) -> None:
        if self.uniform and self.signs_in:
            raise ValueError("Registration cannot hide taken addresses and sign people in at once.")


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things live (RC-02, SE-03, JW-03); `refresh_grace` may be zero, at most 60 s (SE-02)."""

    access_token: timedelta = timedelta(minutes=15)
    session_idle: timedelta = timedelta(days=7)
    session: timedelta = timedelta(days=30)
    refresh_grace: timedelta = timedelta(seconds=10)
    email_verification: timedelta = timedelta(hours=24)
    password_reset: timedelta = timedelta(minutes=60)
    temporary_password: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.refresh_grace <= timedelta(seconds=60):
            raise ValueError("refresh_grace must be between 0 and 60 seconds (SE-02).")


class Claim(StrEnum):
    """What a product's own claim in an access token may say."""

    ACCOUNT_NUMBER = "account_number"
    SESSION_NUMBER = "session_number"
    SESSION_ID = "session_id"


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one deployment.

    `remember` is whether a sign-in that does not say so gets a refresh token, `tells_unknown_tenants`
    whether slugs are public (Z-04), `challenges_without_token` whether a sign-in that waits for a code
    may be named by its identifier, for clients that keep nothing between the steps (Z-10, Z-11),
    `email_otp` whether codes by mail are a factor at all (OT-06), and `claims` names what access tokens
    carry beside the service's own (Z-07), `issuer` and `audience` what they are from and for, unless the
    settings say; without an issuer that is the public URL. `new_device_notice` is whether people are told by mail of a
    sign-in on a device they had not used before (LO-03).
    """

    name: str
    roles: Mapping[str, Role]
    setup_role: str
    setup_tenant_kind: str = "company"
    password: PasswordPolicy = PasswordPolicy()
    registration: Registration = Registration()
    lifetimes: Lifetimes = Lifetimes()
    verified_email_to_sign_in: bool = True
    tells_unknown_tenants: bool = False
    challenges_without_token: bool = False
    email_otp: bool = True
    remember: bool = True
    max_sessions: int = 20
    new_device_notice: bool = True
    locale: str = "en"
    issuer: str = ""
    audience: str = "identity"
    claims: Mapping[str, Claim] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in (self.setup_role, self.registration.default_role):
            if key not in self.roles:
                raise ValueError(f"The policy {self.name!r} names the role {key!r} but does not define it.")

        if self.registration.signs_in and self.verified_email_to_sign_in:
            raise ValueError("Registration cannot sign people in where they have to prove their address first.")

        if not self.email_otp and not self.registration.signs_in:
            stuck = [key for key, role in self.roles.items() if role.self_register and role.requires_mfa]
            if stuck:
                raise ValueError(
                    f"Whoever registers as {', '.join(stuck)} needs a second factor to sign in, and begins with none "
                    "but mailed codes: leave email_otp on, or requires_mfa off (OT-06)."
                )

    def registration_role(self, key: str | None) -> Role:
        """The role somebody registers with.

        Raises RegistrationClosed where there is none, RoleNotAllowed for one that is only given (AZ-05).
        """
        if not any(role.self_register for role in self.roles.values()):
            raise RegistrationClosed()
        role = self.roles.get(key or self.registration.default_role)
        if role is None or not role.self_register:
            raise RoleNotAllowed(field="role")
        return role
