"""Second factors against what is asked for: whoever has one, or must have one, gets no session without (N-12, N-32)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.residents import Resident, app_of, codes_by_mail, invitation, join, resident
from tests.running import PASSWORD, Refusal, Running, bearer, outcome, refused
from tests.second_factor import verify

from identity.domain.code_proof import new_recovery_codes
from identity.domain.policy import Role
from identity.domain.tenants import Tenant
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1 import tenant_service_pb2 as tenants

TOTP, MAIL, RECOVERY = (
    resources.FACTOR_TYPE_TOTP,
    resources.FACTOR_TYPE_EMAIL_OTP,
    resources.FACTOR_TYPE_RECOVERY_CODE,
)
# What is enrolled; whether the role asks for a factor; what is offered, and what a session says after each of it.
TABLE: list[tuple[str, bool, dict[int, list[str]]]] = [
    ("", False, {}),
    ("", True, {MAIL: ["pwd", "email"]}),
    ("mail", False, {MAIL: ["pwd", "email"], RECOVERY: ["pwd", "recovery", "mfa"]}),
    ("mail", True, {MAIL: ["pwd", "email"], RECOVERY: ["pwd", "recovery", "mfa"]}),
    ("app", False, {TOTP: ["pwd", "otp", "mfa"], RECOVERY: ["pwd", "recovery", "mfa"]}),
    ("app", True, {TOTP: ["pwd", "otp", "mfa"], RECOVERY: ["pwd", "recovery", "mfa"]}),
    ("mail app", False, {TOTP: ["pwd", "otp", "mfa"], RECOVERY: ["pwd", "recovery", "mfa"]}),
    ("mail app", True, {TOTP: ["pwd", "otp", "mfa"], RECOVERY: ["pwd", "recovery", "mfa"]}),
]


TELLER = Role(key="teller", name="Teller", level=10, requires_mfa=True, built_in=False)


def tellers(service: Running, tenant: Tenant, *, guarded: bool = True) -> str:
    """The key of a role of the tenant's own, which asks for a second factor or does not."""
    role = replace(TELLER, requires_mfa=guarded)
    service.world.database.write(lambda tx: tx.roles.put(tenant.id, role, service.clock.now))
    return role.key


class Prover:
    """Somebody with some factors, who can answer with each of them."""

    def __init__(self, service: Running, who: Resident, enrolled: str) -> None:
        self._service, self._who = service, who
        if "mail" in enrolled:
            codes_by_mail(service, who.account)
        self._app = app_of(service, who.account) if "app" in enrolled else None
        write = service.world.database.write
        codes = write(lambda tx: new_recovery_codes(service.world, tx, who.account, service.clock.now))
        self._recovery = iter(codes)
        self._mails = 0

    async def answer(self, factor: int) -> dict[str, Any]:
        if factor == MAIL:
            self._mails += 1
            return {"email_code": await self._service.mailbox.alone(self._who.email, "[0-9]{6}", self._mails)}
        if factor == RECOVERY:
            return {"recovery_code": next(self._recovery)}
        return {"totp": self._app.at(self._service.clock.now) if self._app else "123456"}


@pytest.mark.parametrize("by_mail", [True, False], ids=["mail", "app"])
async def test_PW_01_the_last_factor_stays_beside_a_password_that_is_too_short_alone(
    service: Running, by_mail: bool
) -> None:
    """Eight characters were enough because there was a factor; whoever wants none changes the password first."""
    short = "kaas-42-brood"
    who = resident(service, password_hash=service.world.passwords.hash(short))
    metadata = bearer((await service.login(who.email, short)).tokens.access_token)
    prover = Prover(service, who, "mail" if by_mail else "app")
    (factor,) = (await service.factors.ListFactors(factors.ListFactorsRequest(), metadata=metadata)).factors
    proof = resources.SecondFactor(**await prover.answer(RECOVERY))
    remove = factors.RemoveFactorRequest(id=factor.id, current_password=short, second_factor=proof)
    no = await refused(service.factors.RemoveFactor(remove, metadata=metadata))
    assert (no.reason, no.fields, no.info.metadata["min_length"]) == ("PASSWORD_TOO_SHORT", ["current_password"], "15")
    if by_mail:
        proof = resources.SecondFactor(**await prover.answer(RECOVERY))
        off = factors.SetEmailOtpRequest(enabled=False, current_password=short, second_factor=proof)
        assert (await refused(service.factors.SetEmailOtp(off, metadata=metadata))).reason == "PASSWORD_TOO_SHORT"

    proof = resources.SecondFactor(**await prover.answer(RECOVERY))
    change = auth.ChangePasswordRequest(current_password=short, new_password=PASSWORD, second_factor=proof)
    await service.auth.ChangePassword(change, metadata=metadata)
    remove.current_password = PASSWORD
    remove.second_factor.recovery_code = (await prover.answer(RECOVERY))["recovery_code"]
    await service.factors.RemoveFactor(remove, metadata=metadata)


@pytest.mark.parametrize(("enrolled", "required", "offered"), TABLE, ids=lambda part: str(part) if part else "none")
async def test_N_32_every_factor_against_every_demand(
    service: Running, enrolled: str, required: bool, offered: dict[int, list[str]]
) -> None:
    """What a sign-in asks for, what it takes, and what its session is worth."""
    host = resident(service)
    who = resident(service, tellers(service, host.tenant) if required else "user", host.tenant)
    prover = Prover(service, who, enrolled)
    login = auth.LoginRequest(identifier=who.email, password=PASSWORD)
    if not offered:
        assert list((await service.auth.Login(login)).session.session.amr) == ["pwd"]
    for factor, amr in offered.items():
        service.clock.advance(minutes=2)
        challenge = (await service.auth.Login(login)).mfa_challenge
        assert [*challenge.factors] == [*offered]
        for other in {TOTP, MAIL, RECOVERY} - offered.keys():
            wrong = {TOTP: {"totp": "123456"}, MAIL: {"email_code": "123456"}, RECOVERY: {"recovery_code": "k" * 16}}
            no = await refused(service.auth.VerifyOtp(verify(challenge.challenge_token, **wrong[other])))
            assert no.reason == "OTP_INVALID"
        done = await service.auth.VerifyOtp(verify(challenge.challenge_token, **await prover.answer(factor)))
        assert list(done.session.session.amr) == amr
        fresh = await service.refresh(done.session.tokens.refresh_token)
        assert list((await service.get_session(fresh.tokens.access_token)).session.amr) == amr


@pytest.mark.parametrize("reason", ["enrolled", "demanded"])
async def test_N_12_no_way_around_the_second_factor(service: Running, reason: str) -> None:
    """A session with the password alone moves to no other tenant, by a switch or an invitation, nor chooses one."""
    who, host = resident(service), resident(service)
    service.clock.advance(seconds=1)
    metadata = bearer((await service.login(who.email)).tokens.access_token)
    role = tellers(service, host.tenant) if reason == "demanded" else "user"
    if reason == "enrolled":
        app_of(service, who.account)
    token = invitation(service, host, who.email, role)
    accept = invites.AcceptInviteRequest(token=token)
    assert (await refused(service.invites.AcceptInvite(accept, metadata=metadata))).reason == "MFA_REQUIRED"
    join(service, who.account, role, host.tenant)
    switch = sessions.SwitchTenantRequest(tenant_id=str(host.tenant.id))
    assert (await refused(service.sessions.SwitchTenant(switch, metadata=metadata))).reason == "MFA_REQUIRED"
    login = auth.LoginRequest(identifier=who.email, password=PASSWORD)
    for slug in ("", host.tenant.slug):
        login.tenant_slug = slug
        assert (await service.auth.Login(login)).WhichOneof("result") == "mfa_challenge"
    await service.get_session(metadata[0][1].removeprefix("Bearer "))


async def test_N_12_a_tenant_is_chosen_after_the_factor_and_keeps_it(service: Running) -> None:
    """Among several tenants the code comes first; the session chosen then says so."""
    who = resident(service)
    join(service, who.account)
    app = app_of(service, who.account)
    login = await service.auth.Login(auth.LoginRequest(identifier=who.email, password=PASSWORD))
    answer = verify(login.mfa_challenge.challenge_token, totp=app.at(service.clock.now))
    choice = (await service.auth.VerifyOtp(answer)).tenant_choice
    select = auth.SelectTenantRequest(challenge_token=choice.challenge_token, tenant_id=str(who.tenant.id))
    assert list((await service.auth.SelectTenant(select)).session.session.amr) == ["pwd", "otp", "mfa"]


async def test_N_12_a_role_that_begins_to_ask_ends_what_has_proven_nothing(service: Running) -> None:
    """Sessions with the password alone are over, those with a factor go on with new access tokens."""
    host = resident(service)
    role = tellers(service, host.tenant, guarded=False)
    plain, proven = (resident(service, role, host.tenant) for _ in range(2))
    app = app_of(service, proven.account)
    short = (await service.login(plain.email)).tokens
    login = await service.auth.Login(auth.LoginRequest(identifier=proven.email, password=PASSWORD))
    answer = verify(login.mfa_challenge.challenge_token, totp=app.at(service.clock.now))
    long = (await service.auth.VerifyOtp(answer)).session.tokens
    admin = bearer((await service.login(host.email)).tokens.access_token)
    change = tenants.PutRoleRequest(key=role, name="Teller", level=10, mfa_required=True)
    await service.tenants.PutRole(change, metadata=admin)
    assert (await refused(service.refresh(short.refresh_token))).reason == "SESSION_REVOKED"
    service.clock.advance(seconds=1)
    await service.get_session((await service.refresh(long.refresh_token)).tokens.access_token)


async def test_N_12_the_last_factor_stays_where_a_role_asks_for_one(service: Running) -> None:
    """One of two may go; the last one is kept, also by switching it off."""
    host = resident(service)
    who = resident(service, tellers(service, host.tenant), host.tenant)
    codes_by_mail(service, who.account)
    app = app_of(service, who.account)
    login = await service.auth.Login(auth.LoginRequest(identifier=who.email, password=PASSWORD))
    answer = verify(login.mfa_challenge.challenge_token, totp=app.at(service.clock.now))
    metadata = bearer((await service.auth.VerifyOtp(answer)).session.tokens.access_token)
    listed = (await service.factors.ListFactors(factors.ListFactorsRequest(), metadata=metadata)).factors
    mail, code = sorted(listed, key=lambda factor: factor.type == TOTP)
    for factor, reason in ((mail, None), (code, "FACTOR_REQUIRED")):
        service.clock.advance(minutes=1)
        proof = resources.SecondFactor(totp=app.at(service.clock.now))
        remove = factors.RemoveFactorRequest(id=factor.id, current_password=PASSWORD, second_factor=proof)
        gone = await outcome(service.factors.RemoveFactor(remove, metadata=metadata))
        assert (gone.reason if isinstance(gone, Refusal) else None) == reason
