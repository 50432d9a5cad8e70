"""P-03: nobody gains anything without the proof for it, which is used up by that call and by no other.

Walks over the flows of several steps (register and prove, forget and reset, sign in with a code or a choice, invite
and accept, enrol, unlock, set up) in any order, with every token in any place, also another person's, another
purpose's and one that was used before (N-05 to N-09, N-27).
"""

from __future__ import annotations

import pytest_asyncio
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from sqlalchemy import update
from tests.conftest import Launch
from tests.property.exploring import Bridge, explore
from tests.property.ledger import PRESENTED, Ledger
from tests.property.playing import TIME, Playing, moves, new_serial
from tests.property.plays import RPCS, WRONG, Move
from tests.running import PASSWORD, Running

from identity.domain.password_proof import password_budget
from identity.domain.service_access import create_service_key
from identity.domain.throttles import PASSWORD_ATTEMPTS
from identity.store.tables import throttles
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites

FLOWS = [
    "InviteService.ValidateInvite",
    *(f"AuthService.{rpc}" for rpc in ("Register", "VerifyEmail", "ResendVerification", "UnlockAccount", "Setup")),
    *(f"AuthService.{rpc}" for rpc in ("RequestPasswordReset", "ValidatePasswordReset", "ChangePassword")),
    *[f"AuthService.{rpc}" for rpc in ("Login", "VerifyOtp", "SelectTenant", "SendOtp", "ResetPassword")] * 2,
    *(f"FactorService.{rpc}" for rpc in ("BeginTotpEnrollment", "ConfirmTotpEnrollment", "SetEmailOtp")),
    *(f"FactorService.{rpc}" for rpc in ("RemoveFactor", "RegenerateRecoveryCodes", "SendFactorCode")),
    *[f"InviteService.{rpc}" for rpc in ("CreateInvite", "AcceptInvite")] * 2,
    *(f"InviteService.{rpc}" for rpc in ("ResendInvite", "RevokeInvite", "DeclineInvite")),
    *(f"AccountService.{rpc}" for rpc in ("CreateAccount", "UpdateAccount", "SetAccountStatus", "DeleteAccount")),
    *("SessionService.SwitchTenant", "SessionService.RefreshSession", TIME, TIME),
]


@pytest_asyncio.fixture
async def quiet(launch: Launch) -> Running:
    """A service that sends nothing by itself."""
    service = await launch()
    service.service.dispatcher.stop()
    return service


async def test_P_03_what_is_gained_was_proven_once(quiet: Running) -> None:
    """Addresses, passwords, sessions, memberships, factors and locks change by the one call that proves the right."""
    bridge = Bridge()
    key = create_service_key(quiet.world, "resetter", ["reset:issue"])
    quiet.tend()

    @given(moves(FLOWS, at_most=20))
    def holds(script: list[Move]) -> None:
        play = Playing(quiet, new_serial(), service_key=key)
        ledger = Ledger(play)
        play.watchers.append(ledger)
        bridge.call(play.begin)
        bridge.call(settle, play)
        for move in script:
            bridge.call(play.move, move)
        bridge.call(present_everything, play, ledger)
        ledger.close()

    await explore(holds, examples=3, salt=quiet.world.database.dialect)


async def present_everything(play: Playing, ledger: Ledger) -> None:
    """Every secret that was ever handed out, twice where it belongs (N-07), and at other places in turn."""
    for number, (secret, proof) in enumerate(list(ledger.proofs.items())):
        code = play.mind.known[f"code of {proof.email}"][-1:] or ["123456"]
        beside: dict[str, dict[str, str]] = {
            "AuthService.SelectTenant": {"tenant_slug": play.slug},
            "AuthService.VerifyOtp": {"otp": code[0]},
            "AuthService.ResetPassword": {"new_password": f"the {number}. pass phrase of all"},
            "InviteService.AcceptInvite": {"password": PASSWORD},
        }
        for at, rpc in enumerate(["AuthService.VerifyEmail", "AuthService.UnlockAccount", *beside]):
            field, kind, _ = PRESENTED[rpc.partition(".")[2]]
            if kind == proof.kind or (at + number) % 3 == 0:
                request = GetMessageClass(RPCS[rpc].input_type)(**{field: secret, **beside.get(rpc, {})})
                for _ in range(2):
                    await play.call(rpc, request)


async def settle(play: Playing) -> None:
    """The owner belongs to a second company, whose own owner is locked out, and the member has codes by mail."""
    owner, member, other = (f"{name}-{play.serial}@example.org" for name in ("owner", "member", "other"))
    bearers = {email: token for token, email in play.mind.bearers.items()}
    switch = factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD)
    await play.call("FactorService.SetEmailOtp", switch, bearers[member])
    play.mind.learn("email", other)
    wish = auth.RegisterRequest(email=other, password=PASSWORD, role="owner", tenant_name=f"Other {play.serial}")
    await play.call("AuthService.Register", wish)
    await play.call("AuthService.VerifyEmail", auth.VerifyEmailRequest(token=play.mind.known["verify"][-1]))
    await play.call("AuthService.Login", auth.LoginRequest(identifier=other, password=PASSWORD))
    invite = invites.CreateInviteRequest(email=owner, role="user")
    await play.call("InviteService.CreateInvite", invite, play.mind.known["access"][-1])
    accept = invites.AcceptInviteRequest(token=play.mind.known["invite"][-1])
    await play.call("InviteService.AcceptInvite", accept, bearers[owner])
    for email in (member, owner):
        play.mind.learn("email", email)
    await lock(play, other)


async def lock(play: Playing, email: str) -> None:
    """As many wrong passwords as lock an account, of which the first and the last are typed."""
    service, wrong = play.service, auth.LoginRequest(identifier=email, password=WRONG)
    await play.call("AuthService.Login", wrong)
    budget = throttles.c.key == password_budget(service.world, service.account(email).id)
    service.execute(update(throttles).where(budget).values(charges=PASSWORD_ATTEMPTS.limit - 1))
    await play.call("AuthService.Login", wrong)
