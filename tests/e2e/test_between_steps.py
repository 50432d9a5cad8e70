"""Between the first and the last step of whatever takes several: what waits dies with the account's right to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

from tests.residents import Resident, app_of, invitation, join, resident
from tests.running import PASSWORD, Metadata, Refusal, Running, bearer, outcome, refused
from tests.second_factor import challenged, verify

from identity.domain.one_time_tokens import OneTimeToken, Purpose
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1.resources_pb2 import Device

Step = Callable[[], Awaitable[Any]]
DEAD = {"SESSION_REVOKED", "TOKEN_INVALID", "LINK_USED", "LINK_NOT_FOUND"}


def link(service: Running, who: Resident, purpose: Purpose) -> str:
    """The token of a link that was mailed a moment ago."""
    token, now = service.world.secrets.new_token(), service.clock.now
    digest, expires_at = service.world.secrets.digest(token), now + timedelta(days=1)
    row = OneTimeToken(digest, purpose, who.account.id, who.email, created_at=now, expires_at=expires_at)
    service.world.database.write(lambda tx: tx.one_time_tokens.add(row))
    return str(token)


async def waiting(service: Running, who: Resident) -> dict[str, Step]:
    """The last step of everything that somebody has begun, each of which would succeed now."""
    other = join(service, who.account, "user")
    session = await service.login(who.email, tenant_slug=who.tenant.slug)
    mine = bearer(session.tokens.access_token)
    begin = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD)
    begun = await service.factors.BeginTotpEnrollment(begin, metadata=mine)
    app = app_of(service, who.account)
    token = await challenged(service, who.email)
    choice = await service.auth.VerifyOtp(verify(token, totp=app.at(service.clock.now)))
    service.clock.advance(minutes=1)
    select = auth.SelectTenantRequest(challenge_token=choice.tenant_choice.challenge_token, tenant_id=str(other.id))
    code = verify(await challenged(service, who.email), totp=app.at(service.clock.now))
    confirm = factors.ConfirmTotpEnrollmentRequest(enrollment_token=begun.enrollment_token, code="123456")
    accept = invites.AcceptInviteRequest(token=invitation(service, resident(service), who.email))
    proof, reset, unlock = (link(service, who, purpose) for purpose in Purpose)
    wish = auth.ResetPasswordRequest(token=reset, new_password="yet another horse battery staple")
    return {
        "an access token": partial(service.get_session, session.tokens.access_token),
        "a refresh token": partial(service.refresh, session.tokens.refresh_token),
        "a sign-in that waits for a code": partial(service.auth.VerifyOtp, code),
        "a sign-in that waits for a tenant": partial(service.auth.SelectTenant, select),
        "an enrolment": partial(service.factors.ConfirmTotpEnrollment, confirm, metadata=mine),
        "an invitation, by its bearer": partial(service.invites.AcceptInvite, accept, metadata=mine),
        "a link to verify": partial(service.auth.VerifyEmail, auth.VerifyEmailRequest(token=proof)),
        "a link to reset": partial(service.auth.ResetPassword, wish),
        "a link to unlock": partial(service.auth.UnlockAccount, auth.UnlockAccountRequest(token=unlock)),
    }


async def survivors(steps: dict[str, Step]) -> dict[str, str]:
    """The steps that still lead somewhere, or are refused for another reason than that they are dead."""
    answers = {name: await outcome(step()) for name, step in steps.items()}
    told = {name: answer.reason if isinstance(answer, Refusal) else "it worked" for name, answer in answers.items()}
    return {name: reason for name, reason in told.items() if reason not in DEAD}


async def test_all_of_it_works_if_nothing_happens(service: Running) -> None:
    """Each step succeeds, one after the other; but for the enrolment, whose code is a guess."""
    steps = await waiting(service, resident(service, "user", resident(service).tenant))
    steps.pop("a refresh token")  # its successor would count
    for name in ("a sign-in that waits for a code", "a sign-in that waits for a tenant", "a link to verify"):
        await steps.pop(name)()
    assert (await refused(steps.pop("an enrolment")())).reason == "OTP_INVALID"
    for name in ("an access token", "a link to unlock", "a link to reset"):
        await steps.pop(name)()
    assert [*steps] == ["an invitation, by its bearer"]


def leave_the_other(service: Running, who: Resident) -> None:
    """Nobody else is disabled or erased by one tenant (AZ-02)."""

    def leave(tx: Any) -> None:
        for tenant, _ in tx.tenants.memberships(who.account.id):
            if tenant.id != who.tenant.id:
                tx.tenants.remove_membership(who.account.id, tenant.id)

    service.world.database.write(leave)


async def set_status(service: Running, who: Resident, action: accounts.AccountAction.ValueType, by: Metadata) -> None:
    request = accounts.SetAccountStatusRequest(id=str(who.account.id), action=action)
    await service.accounts.SetAccountStatus(request, metadata=by)


async def test_N_05_N_18_disabling_ends_whatever_waits(service: Running) -> None:
    """While the account is disabled nothing leads anywhere, and nothing comes back when it is enabled again."""
    owner = resident(service)
    who, admin = resident(service, "user", owner.tenant), bearer((await service.login(owner.email)).tokens.access_token)
    steps = await waiting(service, who)
    leave_the_other(service, who)
    for action in (accounts.ACCOUNT_ACTION_DISABLE, accounts.ACCOUNT_ACTION_ENABLE):
        await set_status(service, who, action, admin)
        assert await survivors(steps) == {}
    assert service.account(who.email).password_hash == who.account.password_hash


async def test_N_05_RC_05_a_reset_ends_whatever_waits(service: Running) -> None:
    """Nothing that was begun under the old password goes on under the new one."""
    who = resident(service)
    steps = await waiting(service, who)
    await steps["a link to reset"]()
    assert await survivors(steps) == {}


async def test_N_19_what_waits_is_nobodys_once_the_account_is_gone(service: Running) -> None:
    """Whoever has the address next inherits nothing of it, and nothing happens to them."""
    owner = resident(service)
    who, admin = resident(service, "user", owner.tenant), bearer((await service.login(owner.email)).tokens.access_token)
    steps = await waiting(service, who)
    token = invitation(service, owner, who.email)
    leave_the_other(service, who)
    await service.accounts.DeleteAccount(accounts.DeleteAccountRequest(id=str(who.account.id)), metadata=admin)
    heir = resident(service, email=who.email)
    assert await survivors(steps) == {}
    look = invites.ValidateInviteRequest(token=token)
    assert (await refused(service.invites.ValidateInvite(look))).reason == "INVITE_NOT_FOUND"
    assert service.account(who.email) == heir.account


async def test_N_09_a_sign_in_belongs_to_who_began_it(service: Running) -> None:
    """A challenge takes no other's code, names no session, and its session has an id that nobody chose before."""
    stranger, victim = resident(service), resident(service)
    app_of(service, stranger.account)
    code = app_of(service, victim.account).at(service.clock.now)
    theirs, own = await challenged(service, stranger.email), await challenged(service, victim.email)
    assert (await refused(service.auth.VerifyOtp(verify(theirs, totp=code)))).reason == "OTP_INVALID"
    signed_in = (await service.auth.VerifyOtp(verify(own, totp=code))).session
    assert signed_in.account.id == str(victim.account.id)
    assert signed_in.session.id not in own and len({theirs, own, signed_in.session.id}) == 3
    assert (await refused(service.auth.VerifyOtp(verify(own, totp=code)))).reason == "TOKEN_INVALID"
    chosen = Device(fingerprint=signed_in.session.id)
    wish = auth.LoginRequest(identifier=victim.email, password=PASSWORD, device=chosen)
    again = await service.auth.Login(wish, metadata=bearer(signed_in.tokens.access_token))
    assert again.mfa_challenge.challenge_token not in (own, theirs)
