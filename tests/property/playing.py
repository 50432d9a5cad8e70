"""A play on a service: moves become calls, and what they give, in answers and in mails, is kept in mind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from google.protobuf.message import Message
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from sqlalchemy import select
from tests.property.doors import Answer, Door, GrpcDoor
from tests.property.plays import RPCS, STREAMS, WRONG, Draws, Mind, Move, Play
from tests.running import PASSWORD, Running

from identity.domain.mails import MailKind, OutboxMail
from identity.domain.notices import resolve_request
from identity.store.tables import outbox
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as invites

# More often than once in fifty moves comes what leads somewhere.
OFTEN = {
    **{f"AuthService.{rpc}": 5 for rpc in ("Login", "VerifyOtp", "ResetPassword", "RequestPasswordReset")},
    **{f"AuthService.{rpc}": 3 for rpc in ("Register", "VerifyEmail", "ChangePassword", "SelectTenant")},
    **{f"SessionService.{rpc}": 4 for rpc in ("RefreshSession", "GetSession", "SwitchTenant")},
    **{f"InviteService.{rpc}": 4 for rpc in ("CreateInvite", "AcceptInvite")},
    **{f"FactorService.{rpc}": 3 for rpc in ("BeginTotpEnrollment", "ConfirmTotpEnrollment", "SetEmailOtp")},
    "TenantService.PutRole": 3,
}
TIME = "time passes"
JUMPS = [*[timedelta(seconds=31)] * 5, *[timedelta(seconds=61)] * 5, timedelta(minutes=11), timedelta(days=8)]
# The first is what hypothesis tries first, many times over: one that costs little.
MOVES = [
    "SessionService.GetSession",
    *(name for name in RPCS if name not in STREAMS for _ in range(OFTEN.get(name, 1))),
]
MOVES += [TIME] * 6
MIND_OF = {
    MailKind.VERIFY_EMAIL: "verify",
    MailKind.PASSWORD_RESET: "reset",
    MailKind.UNLOCK_ACCOUNT: "unlock",
    MailKind.INVITE: "invite",
}
_serials = count(1)


def moves(names: list[str] = MOVES, *, at_most: int) -> st.SearchStrategy[list[Move]]:
    """Moves of these RPCs; a name that is there more often comes more often."""
    move = st.builds(Move, st.sampled_from(names), st.binary(min_size=16, max_size=48))
    return st.lists(move, min_size=at_most, max_size=at_most)


def new_serial() -> str:
    """What the names of one more play have in them."""
    return f"q{next(_serials)}q"


@dataclass(frozen=True)
class Letter:
    """A mail as it left, with what it says."""

    kind: MailKind
    recipient: str
    values: dict[str, str]

    @property
    def secret(self) -> str:
        return self.values.get("token") or self.values.get("code") or self.values.get("password") or ""


class Post:
    """Reads the outbox of a service whose dispatcher has stopped, so that nothing has to be waited for."""

    def __init__(self, service: Running) -> None:
        self._service, self._world = service, service.world

    def collect(self) -> list[Letter]:
        """Every mail that was queued since, oldest first; wishes for mails are fulfilled before."""
        for row in self._waiting():
            if MailKind(row.kind).is_request and resolve_request(self._world, _mail(row)) is None:
                self._done(row.id)
        return [self._open(row) for row in self._waiting()]

    def _waiting(self) -> list[Any]:
        rows = select(outbox).where(outbox.c.status == "waiting").order_by(outbox.c.created_at, outbox.c.id)
        return list(self._service.rows(rows))

    def _open(self, row: Any) -> Letter:
        values = json.loads(self._world.vault.open(row.sealed, context=f"outbox:{row.id}"))
        self._done(row.id)
        return Letter(MailKind(row.kind), row.recipient, values)

    def _done(self, id: Any) -> None:
        self._world.database.write(lambda tx: tx.outbox.complete(id, self._world.clock()))


def _mail(row: Any) -> OutboxMail:
    names = ("id", "recipient", "locale", "sealed", "created_at", "expires_at", "attempts")
    return OutboxMail(kind=MailKind(row.kind), **{name: getattr(row, name) for name in names})


@dataclass(frozen=True)
class Done:
    """A call of a play, and what came of it."""

    rpc: str
    request: Any
    bearer: str
    actor: str
    answer: Answer
    letters: list[Letter]


class Playing:
    """One play through one door of a service, whose mails are read by `post`."""

    def __init__(self, service: Running, serial: str, *, door: Door | None = None, service_key: str = "") -> None:
        self.service, self.serial, self.mind = service, serial, Mind()
        self.play = Play(self.mind, service.clock, serial, service_key)
        self._door, self._post = door or GrpcDoor(service), Post(service)
        self.watchers: list[Callable[[Done], None]] = []
        self._owners: dict[str, str] = {}

    @property
    def slug(self) -> str:
        """The first company's."""
        return f"place-{self.serial}"

    async def move(self, move: Move, *, seconds: int = 1) -> Done | None:
        """Make the call of a move a moment later; None if it was only time that passed."""
        draws = Draws(move.draws)
        self.service.clock.advance(seconds=seconds)
        if move.name == TIME:
            await self.wait(JUMPS[draws.below(len(JUMPS))])
            return None
        bearer = self.play.bearer(move.name, draws)
        return await self.call(move.name, self.play.request(move.name, bearer, draws), bearer)

    async def wait(self, by: timedelta) -> None:
        """Let time pass; those who had access tokens sign in again, if these are over."""
        self.service.clock.advance(by)
        if by > timedelta(minutes=10):
            for email in dict.fromkeys(self.mind.bearers.values()):
                login = auth.LoginRequest(identifier=email, password=self.mind.passwords.get(email, WRONG))
                await self.call("AuthService.Login", login)

    async def call(self, rpc: str, request: Message, bearer: str = "") -> Done:
        """Make a call, and keep in mind what came of it."""
        actor = self.mind.bearers.get(bearer, "")
        answer = await self._door.call(rpc, request, bearer)
        if answer.code == "UNAVAILABLE":
            raise UnsatisfiedAssumption  # a machine that is too busy to answer shows nothing
        done = Done(rpc, request, bearer, actor, answer, self._post.collect())
        for watch in self.watchers:
            watch(done)
        for letter in done.letters:
            self._read(letter)
        if answer.message is not None:
            self.mind.listen(answer.message)
            self._conclude(done)
        return done

    async def begin(self) -> None:
        """A company with its owner, a member and two addresses that nobody has registered; everybody is signed in."""
        mind = self.mind
        owner, member, *free = (f"{name}-{self.serial}@example.org" for name in ("owner", "member", "guest", "new"))
        for email in (*free, member, owner):
            mind.learn("email", email)
        wish = auth.RegisterRequest(email=owner, password=PASSWORD, role="owner", tenant_name=f"Place {self.serial}")
        await self.call("AuthService.Register", wish)
        await self.call("AuthService.VerifyEmail", auth.VerifyEmailRequest(token=mind.known["verify"][-1]))
        await self.call("AuthService.Login", auth.LoginRequest(identifier=owner, password=PASSWORD))
        invite = invites.CreateInviteRequest(email=member, role="user")
        await self.call("InviteService.CreateInvite", invite, mind.known["access"][-1])
        accept = invites.AcceptInviteRequest(token=mind.known["invite"][-1], password=PASSWORD)
        await self.call("InviteService.AcceptInvite", accept)
        mind.learn("access", mind.known["access"][0])

    def _read(self, letter: Letter) -> None:
        mind = self.mind
        self._owners[letter.secret] = letter.recipient
        if letter.kind in MIND_OF:
            mind.learn(MIND_OF[letter.kind], letter.secret)
        elif letter.kind is MailKind.SIGN_IN_CODE:
            mind.learn(f"code of {letter.recipient}", letter.secret)
        elif letter.kind is MailKind.TEMPORARY_PASSWORD:
            mind.passwords[letter.recipient] = letter.secret

    def _conclude(self, done: Done) -> None:
        """Who has which password, app and codes after a call that was answered."""
        mind, request, answer = self.mind, done.request, done.answer.message
        match done.rpc.partition(".")[2]:
            case "Register":
                for letter in done.letters:
                    if letter.kind is MailKind.VERIFY_EMAIL:
                        mind.passwords[letter.recipient] = request.password
            case "Setup":
                mind.passwords[request.email] = request.password
            case "ResetPassword":
                mind.passwords[self._owners.get(request.token, "")] = request.new_password
            case "ChangePassword":
                mind.passwords[done.actor or request.identifier] = request.new_password
            case "AcceptInvite" if not done.bearer:
                mind.passwords[self._owners.get(request.token, "")] = request.password
            case "RequestPasswordReset":
                self._owners[getattr(answer, "reset_token", "")] = request.identifier
            case "BeginTotpEnrollment":
                mind.known[f"seed of {done.actor}"].append(getattr(answer, "secret", ""))
            case "ConfirmTotpEnrollment":
                mind.apps[done.actor] = mind.known[f"seed of {done.actor}"].pop()
        if codes := list(getattr(answer, "recovery_codes", ())):
            mind.codes[done.actor] = codes
