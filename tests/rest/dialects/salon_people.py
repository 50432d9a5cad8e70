"""A salon whose wizard ran, and the people in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.rest.web import Web
from tests.running import PASSWORD, new_email

from identity.domain.accounts import NewAccount
from identity.domain.ids import new_id
from identity.domain.tenants import NewMembership

WIZARD = {
    "admin_name": "Admin",
    "admin_password": PASSWORD,
    "salon_name": "Salon",
    "salon_email": "info@salon.nl",
    "salon_phone": "",
    "salon_address": "Straat 1",
    "opening_hours": [
        {"day_of_week": 1, "open_time": "09:00", "close_time": "18:00", "is_closed": False},
        {"day_of_week": 0, "open_time": None, "close_time": None, "is_closed": 1},
    ],
}

TEMPORARY = r"\S{16,}"


@dataclass
class Opened:
    """The salon after its wizard ran: who runs it, and what the wizard saw on the way."""

    email: str
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """The administrator's access token, for the 8 hours that it is good."""
        return str(self.seen["setup"]["token"])


async def open_salon(salon: Web) -> Opened:
    """Run the wizard, which works once for ever, with everything that must not work before."""
    email = new_email()
    body = {**WIZARD, "admin_email": email}
    elsewhere: dict[str, Any] = {"headers": {"x-forwarded-for": "192.0.2.1"}}
    secret = {"bootstrap_secret": salon.service.world.bootstrap_secret, "admin_password": "short"}
    opened = Opened(email)
    opened.seen = {
        "before": await salon.call("GET", "/api/auth/setup-status"),
        "weak": await salon.call("POST", "/api/auth/setup", {**body, "admin_password": "short"}, status=400),
        "elsewhere": await salon.call("POST", "/api/auth/setup", body, status=403, **elsewhere),
        "with secret": await salon.call("POST", "/api/auth/setup", {**body, **secret}, status=400, **elsewhere),
        "setup": await salon.call("POST", "/api/auth/setup", body, status=201),
        "after": await salon.call("GET", "/api/auth/setup-status"),
    }
    return opened


def change(email: str, current: str, new: str) -> dict[str, str]:
    """What the app sends to change a password."""
    return {"email": email, "currentPassword": current, "newPassword": new, "confirmPassword": new}


async def hired(salon: Web, opened: Opened) -> str:
    """The address of somebody new on the staff, with a password of their own."""
    email = new_email()
    body = {"email": email, "name": "Kapper"}
    await salon.call("POST", "/api/auth/register", body, bearer=await salon.signed_in(opened.email))
    temporary = await salon.service.mailbox.alone(email, TEMPORARY)
    first = await salon.call("POST", "/api/auth/login", {"email": email, "password": temporary})
    await salon.call("POST", "/api/auth/change-password", change(email, temporary, PASSWORD), bearer=first["token"])
    return email


async def more_staff(salon: Web, admin: str, number: int) -> None:
    """Rows of people on the staff, without the mails."""
    tenant = UUID((await salon.call("GET", "/v1/tenant", bearer=admin))["tenant"]["id"])
    now = salon.service.clock.now

    def hire(tx: Any) -> None:
        for _ in range(number):
            new = NewAccount(new_id(now), new_email(), None, None, None, "Kapper", "nl", None, "", now)
            tx.tenants.add_membership(NewMembership(tx.accounts.add(new).id, tenant, "staff", now))

    salon.service.world.database.write(hire)


async def devices(salon: Web, token: str) -> list[str]:
    """The platforms of somebody's push devices."""
    listed = await salon.call("GET", "/v1/pushDevices", bearer=token)
    return [device["platform"] for device in listed["pushDevices"]]
