"""What the organization product's clients send and read."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, RootModel
from starlette.responses import Response

from identity.rest.dialect import CamelBody, CamelReply, Fault, refused
from identity.rest.refusals import Refusal

NAMES: Final = {
    "tenant_name": "organizationName",
    "first_name": "firstName",
    "last_name": "lastName",
    "identifier": "email",
    "new_password": "password",
    "otp": "code",
    "recovery_code": "code",
}
"""Fields of the contract that are called otherwise here."""

Name = Annotated[str, Field(min_length=1, max_length=100)]
Password = Annotated[str, Field(max_length=100)]


# What clients send.


class Registration(CamelBody):
    organization_name: Annotated[str, Field(min_length=2, max_length=255)]
    first_name: Name
    last_name: Name
    email: str
    password: Password
    """8 to 100 characters (Z-06)."""


class MailedToken(CamelBody):
    token: str
    """The token of the verification mail."""


class Address(CamelBody):
    email: str


class NewPassword(CamelBody):
    token: str
    """The token of the reset mail."""
    password: Password
    """8 to 100 characters (Z-06)."""


class Credentials(CamelBody):
    email: str
    password: str
    code: str | None = None
    """The six digits of the second factor, or a recovery code; for who has one."""
    callback_url: str | None = None
    """The page to go to next; of the same origin."""


class SignOut(CamelBody):
    callback_url: str | None = None
    """The page to go to next; of the same origin."""


# What clients read.


class Done(CamelReply):
    """The call succeeded."""

    success: Literal[True] = True


class User(CamelReply):
    """Who registered."""

    id: str
    email: str
    first_name: str
    last_name: str


class Organization(CamelReply):
    id: str
    name: str
    slug: str


class Registered(Done):
    """The new organization and its administrator; made up where the address was taken (Z-24)."""

    message: str = "Account created successfully. Please check your email to verify your account."
    user: User
    organization: Organization


class Landed(Done):
    """The call succeeded, and the page goes on to `url`."""

    url: str


class SessionUser(CamelReply):
    """Who is signed in."""

    id: str
    email: str | None
    name: str
    organization_id: str | None
    role: str


class Session(CamelReply):
    """A session; `expires` is when it ends in any case."""

    user: SessionUser
    expires: str


class Nobody(CamelReply):
    """Nobody is signed in."""


class SessionOrNobody(RootModel[Session | Nobody]):
    """The session, or an empty object."""


class CsrfToken(CamelReply):
    """What clients of NextAuth send back with every POST."""

    csrf_token: str


class Provider(CamelReply):
    """A way to sign in, as clients of NextAuth know it."""

    id: Literal["credentials"] = "credentials"
    name: str = "Credentials"
    type: Literal["credentials"] = "credentials"
    signin_url: str
    callback_url: str


class Providers(CamelReply):
    """The one way to sign in."""

    credentials: Provider


class Failure(CamelReply):
    """The call was refused: `code` is for programs, `error` for people, `errors` names fields at fault."""

    success: Literal[False] = False
    error: str
    code: str
    errors: list[Fault]
    url: str | None = None
    """Where clients of NextAuth go on, with `error` in the query; only of signing in."""


def refuse(refusal: Refusal) -> Response:
    """A refusal in the product's shape."""
    errors = [Fault(field=fault.field, message=fault.description) for fault in refusal.violations]
    url = refusal.metadata.get("url")
    return refused(refusal, Failure(error=refusal.message, code=refusal.reason, errors=errors, url=url))
