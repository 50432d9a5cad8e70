"""What the tenant product's clients send and read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from starlette.responses import Response

from identity.rest.dialect import CamelBody, CamelReply, Fault, refused
from identity.rest.refusals import Refusal

Text = Annotated[str, Field(min_length=1)]


# What clients send.


class Registration(CamelBody):
    email: str
    password: str
    """At least 8 characters, and not a common one."""
    company_name: Text
    first_name: Text
    last_name: Text


class Login(CamelBody):
    tenant_slug: str | None = None
    """Needed by who belongs to several tenants."""
    email: str
    password: str


class Refresh(CamelBody):
    refresh_token: str


class Acceptance(CamelBody):
    token: str
    """The one of the mail."""
    password: str | None = None
    """Needed for a new account; who has one signs in and sends the access token."""
    first_name: str | None = None
    last_name: str | None = None


class ForgottenPassword(CamelBody):
    email: str
    tenant_slug: str | None = None
    """Nothing is sent to who does not belong there."""


class PasswordReset(CamelBody):
    token: str
    """The one of the mail."""
    new_password: str
    """At least 8 characters, and not a common one."""


class PasswordChange(CamelBody):
    current_password: str
    new_password: str
    """At least 8 characters, and not a common one."""


# What clients read.


class Person(CamelReply):
    """Who signed in."""

    id: str
    email: str
    first_name: str
    last_name: str
    role: str
    role_level: int


class User(Person):
    """Who signed in, with picture, department and teams: null and none for who has not got them."""

    avatar: str | None
    department_id: str | None
    team_ids: list[str]


class TenantName(CamelReply):
    """The active tenant."""

    slug: str
    company_name: str


class NewTenant(CamelReply):
    """The tenant that came into being."""

    id: str
    slug: str
    company_name: str


class Registered(CamelReply):
    """The tokens, and who and what is new."""

    access_token: str
    refresh_token: str
    user: Person
    tenant: NewTenant


class SignedIn(CamelReply):
    """The tokens, and whose they are."""

    access_token: str
    refresh_token: str | None
    """Null with a temporary password, which has to be changed first."""
    user: User


class Accepted(CamelReply):
    """The tokens, and who is new."""

    access_token: str
    refresh_token: str
    user: Person


class Me(User):
    """Who is signed in, and what they may do where."""

    permissions: dict[str, dict[str, bool]]
    tenant: TenantName | None


class Tokens(CamelReply):
    """The new tokens; the refresh token that was sent is spent."""

    access_token: str
    refresh_token: str


class Invitation(CamelReply):
    """An invitation that can be accepted."""

    valid: Literal[True]
    email: str
    tenant_name: str
    invited_by: str
    role_name: str


class ResetLink(CamelReply):
    """A link that would work."""

    valid: Literal[True]
    email: str


class Done(CamelReply):
    """It is done."""

    message: str


class Failure(CamelReply):
    """A refusal."""

    message: str
    code: str
    """The reason of the contract."""
    errors: list[Fault] | None = None


def refuse(refusal: Refusal) -> Response:
    """A refusal in the shape above, with the fields of a bad request."""
    faults = [Fault(field=field, message=description) for field, description, _ in refusal.violations]
    errors = faults if faults and refusal.status == 400 else None
    return refused(refusal, Failure(message=refusal.message, code=refusal.reason, errors=errors))
