"""What the merchant product's clients send and read."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator
from starlette.responses import Response

from identity.rest.dialect import CamelBody, CamelReply, Fault, refused
from identity.rest.refusals import Refusal

ROLES: Final = {
    "Manager": "manager",
    "SuperManager": "super_manager",
    "SuperAdmin": "super_admin",
    "Cashier": "cashier",
    "Observer": "observer",
    "Association": "association",
    "User": "user",
}
"""The product's names of the roles, and the preset's."""

NAMES: Final = {
    "identifier": "email",
    "first_name": "firstName",
    "last_name": "lastName",
    "new_password": "newPassword",
    "locale": "lang",
    "phone": "phoneNumber",
    "phone_country": "phoneNumberCountry",
    "tenant_name": "companyName",
    "totp": "otp",
    "recovery_code": "otp",
    "email_code": "emailOtp",
}
"""Fields of the contract that are called otherwise here."""
_SPELLINGS = {name.lower(): name for name in ROLES}

Origin = Literal["dashboard", "application"]
Role = Annotated[
    Literal["Manager", "SuperManager", "SuperAdmin", "Cashier", "Observer", "Association", "User"],
    BeforeValidator(lambda value: _SPELLINGS.get(value.lower(), value) if isinstance(value, str) else value),
]


# What clients send.


class Registration(CamelBody):
    email: str
    password: str
    """At least 8 characters, with an upper-case and a lower-case letter, a digit and a special character."""
    first_name: str
    last_name: str
    role: Role
    """`Manager`, `Association` or `User`; the others are given by an invitation or an administrator (Z-15)."""
    company_name: str | None = None
    """The company to make; for `Manager`."""
    association_name: str | None = None
    """The association to make; for `Association`."""
    origin: str | None = None
    """`dashboard` or `application`; the document leaves it open, so that another one says nothing."""
    phone_number: str | None = None
    """As dialled in `phoneNumberCountry`, or with `+` and the code of the country."""
    phone_number_country: str | None = None
    """ISO 3166 code, e.g. `FR`."""


class Credentials(CamelBody):
    email: str
    password: str
    origin: Origin
    """`dashboard` for the back office, `application` for the mobile app."""


class Otp(CamelBody):
    otp: str | None = None
    """The six digits of an authenticator app, or a recovery code."""
    email_otp: str | None = None
    """The six digits of the newest mail."""


class Address(CamelBody):
    email: str


class ForgottenPassword(CamelBody):
    email: str
    origin: str | None = None
    """With `application`, a service key gets the token in the answer; everybody and everything else a mail (Z-02)."""


class NewPassword(CamelBody):
    token: str
    """The token of the reset mail."""
    new_password: str


# What clients read.


class Done(CamelReply):
    """The call succeeded."""

    success: Literal[True] = True
    status: int = 200


class User(CamelReply):
    """Who signed in."""

    id: str
    email: str | None
    first_name: str | None
    last_name: str | None
    role: str
    phone_number: str | None
    company_name: str | None
    association_name: str | None


class SignedInData(CamelReply):
    """The access token and whose it is; null until the second factor is proven."""

    token: str | None
    user: User | None


class SignedIn(Done):
    """A sign-in. `token` stands in `data` too: the product's document does not say where."""

    token: str | None
    data: SignedInData


class ResetToken(CamelReply):
    token: str


class Acknowledged(Done):
    """The call succeeded."""

    data: ResetToken | None = None
    """Only for a service key with the scope `reset:issue`; absent otherwise."""


class Failure(CamelReply):
    """The call was refused: `code` is for programs, `message` for people, `errors` names fields at fault."""

    success: Literal[False] = False
    status: int
    code: str
    message: str
    errors: list[Fault]


def refuse(refusal: Refusal) -> Response:
    """A refusal in the product's shape, with the product's names of fields."""
    errors = [Fault(field=fault.field, message=fault.description) for fault in refusal.violations]
    failure = Failure(status=refusal.status, code=refusal.reason, message=refusal.message, errors=errors)
    return refused(refusal, failure)
