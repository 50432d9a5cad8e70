"""The stage of P-02: processes on one database, an administrator, and two members with everything they were given."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyotp
from tests.clock import ManualClock
from tests.company import company, member
from tests.mailbox import Mailbox
from tests.property.session_model import Badge, Person
from tests.running import PASSWORD, Metadata, Running, bearer, outcome, running
from tests.second_factor import enrolled

from identity.domain.service_access import create_service_key
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1.resources_pb2 import SessionTokens


@dataclass
class Somebody:
    """A member: what the model says of them, and every token that they were ever given."""

    email: str
    id: str
    app: pyotp.TOTP | None = None
    role: str = "user"
    model: Person = field(default_factory=lambda: Person(PASSWORD))
    refresh_tokens: list[tuple[str, int, str]] = field(default_factory=list)
    badges: list[tuple[Badge, str]] = field(default_factory=list)

    def take(self, family: str, tokens: SessionTokens, clock: ManualClock) -> None:
        """Keep what a client was given, if it is what the model says."""
        badge, known = self.model.badge(family, clock.now), self.model.family(family)
        told = tokens.access_expires_at.ToDatetime(clock.now.tzinfo)
        assert told.replace(microsecond=0) == badge.expires_at
        assert known is not None
        self.badges.append((badge, tokens.access_token))
        if tokens.HasField("refresh_token"):
            self.refresh_tokens.append((family, known.counter, tokens.refresh_token))


class Stage:
    """What lasts from one run of the machine to the next."""

    def __init__(self, mailbox: Mailbox, data_dir: Path, database_url: str) -> None:
        self.clock = ManualClock()
        self.nodes: list[Running] = []
        self.people: dict[str, Somebody] = {}
        self._mailbox, self._data_dir, self._url = mailbox, data_dir, database_url
        self._stacks: list[AsyncExitStack] = []
        self._passwords = (f"pass phrase {number} of a machine" for number in count(1))

    @property
    def engine(self) -> str:
        return self._url.partition(":")[0]

    async def open(self, processes: int) -> None:
        for _ in range(processes):
            await self._start()
        node = self.nodes[0]
        self._owner = await company(node)
        for name in ("plain", "guarded"):
            person = await member(node, self._owner)
            self.people[name] = Somebody(person.email, person.id)
        token = person.session.tokens.access_token
        self.people["guarded"].app = (await enrolled(node, person.email, token)).app
        self._service_key = create_service_key(node.world, "resetter", ["reset:issue"])
        self._until = self.clock.now
        self.tend()

    async def restart(self, number: int) -> None:
        """End a process, and start its successor on the same database."""
        await self._stacks[number].aclose()
        await self._start(number)

    async def close(self) -> None:
        for stack in self._stacks:
            await stack.aclose()

    def tend(self) -> None:
        """Let every process do what it does by itself within a second."""
        for node in self.nodes:
            node.tend()

    # What clients see.

    async def look(self, node: Running, access_tokens: list[str]) -> list[list[Any]]:
        """What GetSession and ListSessions say to each access token, or why they do not."""
        listing = sessions.ListSessionsRequest(page_size=100)

        async def ask(token: str) -> list[Any]:
            listed = node.sessions.ListSessions(listing, metadata=bearer(token))
            return [await outcome(node.get_session(token)), await outcome(listed)]

        return await asyncio.gather(*map(ask, access_tokens))

    # What an administrator and an operator do.

    async def administrator(self, node: Running) -> Metadata:
        """The bearer of the owner, who signs in again when that is late."""
        if self.clock.now >= self._until:
            self._owner.session = await node.login(self._owner.email, remember=False)
            self._until = self.clock.now + timedelta(minutes=15)
        return self._owner.metadata

    async def set_status(self, node: Running, whose: Somebody, action: accounts.AccountAction.ValueType) -> int:
        """How many sessions ended with it."""
        request = accounts.SetAccountStatusRequest(id=whose.id, action=action)
        answer = await node.accounts.SetAccountStatus(request, metadata=await self.administrator(node))
        return int(answer.sessions_ended)

    async def revoke_all(self, node: Running, whose: Somebody) -> int:
        """How many sessions there were to end."""
        request = sessions.RevokeSessionsRequest(selection=sessions.SESSION_SELECTION_ALL, account_id=whose.id)
        answer = await node.sessions.RevokeSessions(request, metadata=await self.administrator(node))
        return int(answer.sessions_ended)

    async def set_role(self, node: Running, whose: Somebody, role: str) -> bool:
        """Whether it is another one than before."""
        request = accounts.UpdateAccountRequest(id=whose.id, changes=accounts.AccountChanges(role=role))
        request.update_mask.paths.append("role")
        await node.accounts.UpdateAccount(request, metadata=await self.administrator(node))
        before, whose.role = whose.role, role
        return role != before

    async def reset_token(self, node: Running, whose: Somebody) -> str:
        """A token for a new password, as a backend hands it over."""
        self.clock.advance(seconds=61)
        ask = auth.RequestPasswordResetRequest(identifier=whose.email)
        answer = await node.auth.RequestPasswordReset(ask, metadata=bearer(self._service_key))
        return str(answer.reset_token)

    async def reset(self, node: Running, whose: Somebody) -> str:
        """A new password; every session ends."""
        password = self.new_password()
        await node.reset(await self.reset_token(node, whose), password)
        return password

    def new_password(self) -> str:
        """One that nobody has had before."""
        return next(self._passwords)

    async def _start(self, number: int | None = None) -> None:
        stack = AsyncExitStack()
        started = running(self._data_dir, self._mailbox, clock=self.clock, database_url=self._url)
        node = await stack.enter_async_context(started)
        if number is None:
            self.nodes.append(node)
            self._stacks.append(stack)
        else:
            self.nodes[number], self._stacks[number] = node, stack
