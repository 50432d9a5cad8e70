"""A company with its owner and members, as many tests need one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from tests.running import PASSWORD, Metadata, Running, bearer, new_email

from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import resources_pb2 as resources

_numbers = count(1)


@dataclass
class Person:
    """Somebody signed in."""

    email: str
    session: resources.SessionResult

    @property
    def id(self) -> str:
        return self.session.account.id

    @property
    def metadata(self) -> Metadata:
        return bearer(self.session.tokens.access_token)


async def company(service: Running, role: str = "owner") -> Person:
    """Who registered a new company, in the role of the preset that makes one."""
    email = await service.verified(role=role, tenant_name=f"Company {next(_numbers)}")
    return Person(email, await service.login(email))


async def invited(service: Running, owner: Person, role: str = "user", email: str | None = None) -> tuple[str, str]:
    """An address that a company invited, and the token that the mail brought."""
    email = email or new_email()
    wish = invites.CreateInviteRequest(email=email, role=role, locale="en")
    await service.invites.CreateInvite(wish, metadata=owner.metadata)
    return email, await service.mailbox.token(email, subject="invited")


async def member(service: Running, owner: Person, role: str = "user") -> Person:
    """A new member of a company."""
    email, token = await invited(service, owner, role)
    accepted = await service.invites.AcceptInvite(accept(token))
    return Person(email, accepted.session)


async def in_two(service: Running, role: str = "owner") -> tuple[str, Person, Person]:
    """Somebody who belongs to two companies, and who registered those."""
    one, two = await company(service, role), await company(service, role)
    guest = await member(service, one)
    service.clock.advance(seconds=61)
    await invited(service, two, email=guest.email)
    token = await service.mailbox.token(guest.email, 2)
    await service.invites.AcceptInvite(invites.AcceptInviteRequest(token=token), metadata=guest.metadata)
    return guest.email, one, two


def accept(token: str, password: str = PASSWORD) -> invites.AcceptInviteRequest:
    """A newcomer's answer to an invitation."""
    return invites.AcceptInviteRequest(token=token, password=password, first_name="Jane", last_name="Smith")
