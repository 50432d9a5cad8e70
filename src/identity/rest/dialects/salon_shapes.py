"""What the salon product's clients send and read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, RootModel
from starlette.responses import Response

from identity.rest.dialect import Body, CamelBody, CamelReply, Fault, Reply, refused
from identity.rest.refusals import Refusal

Text = Annotated[str, Field(min_length=1)]


# What clients send.


class Login(Body):
    email: str
    password: str
    mobile: bool | None = None
    """Whether to give a refresh token of 30 days too."""


class Logout(Body):
    refresh_token: str | None = None
    """The refresh token to revoke."""
    device_token: str | None = None
    """The push device to forget."""


class Refresh(Body):
    refresh_token: str


class NewUser(Body):
    email: str
    name: Text
    role: str | None = None
    """`staff` without it."""


class ForgottenPassword(Body):
    email: str


class PasswordReset(Body):
    email: str
    token: str
    """The one of the mail."""
    password: str
    """At least 8 characters, and not a common one."""


class PasswordChange(CamelBody):
    email: str
    current_password: str
    new_password: str
    """At least 8 characters, and not a common one."""
    confirm_password: str
    """The new password once more."""


class Device(Body):
    token: str
    """At most 512 characters."""
    platform: Literal["ios", "android", "web"]


class DeviceToken(Body):
    token: str


class OpeningHours(Body):
    day_of_week: Annotated[int, Field(ge=0, le=6)]
    """From 0, Sunday, to 6, Saturday."""
    open_time: str | None = None
    """`HH:MM`; none on a closed day."""
    close_time: str | None = None
    is_closed: bool | Literal[0, 1] | None = None


class FirstRun(Body):
    admin_name: Text
    admin_email: str
    admin_password: str
    """At least 8 characters, and not a common one."""
    salon_name: Text
    salon_email: str | None = None
    salon_phone: str | None = None
    salon_address: str | None = None
    opening_hours: list[OpeningHours] | None = None
    bootstrap_secret: str | None = None
    """What the service printed on its console; needed from another machine (AZ-06)."""


# What clients read.


class User(Reply):
    """Who signed in."""

    id: int
    name: str
    email: str
    role: str
    require_password_change: bool


class SignedIn(Reply):
    """The tokens, and whose they are."""

    token: str
    refresh_token: str | None = None
    """Only for a sign-in with `mobile`."""
    user: User


class Listed(Reply):
    """One of the salon's users."""

    id: int
    name: str
    email: str | None
    role: str


class Users(RootModel[list[Listed]]):
    """All users of the salon, the oldest first."""


class Registered(Reply):
    """The new user."""

    id: int
    email: str
    role: str
    name: str


class Done(Reply):
    """It is done."""

    message: str


class SetupStatus(CamelReply):
    """Whether nobody has set the place up yet."""

    needs_setup: bool


class Administrator(Reply):
    """Who set the place up."""

    id: int
    name: str
    role: str


class FirstSession(Reply):
    """The first administrator, signed in."""

    token: str
    user: Administrator


class Failure(Reply):
    """A refusal."""

    error: str
    code: str
    """The reason of the contract."""
    fields: list[Fault] | None = None


def refuse(refusal: Refusal) -> Response:
    """A refusal in the shape above. A link that is unknown is as bad a request as one that is too old."""
    if refusal.reason == "LINK_NOT_FOUND":
        refusal.status = 400
    faults = [Fault(field=field, message=description) for field, description, _ in refusal.violations]
    fields = faults if faults and refusal.status == 400 else None
    return refused(refusal, Failure(error=refusal.message, code=refusal.reason, fields=fields))
