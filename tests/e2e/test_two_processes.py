"""Two processes on one database: every next step may go to the other one (F-20)."""

from __future__ import annotations

from itertools import cycle

import pyotp
from sqlalchemy import update
from tests.conftest import Launch
from tests.residents import app_of, invitation, resident
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    WRONG_PASSWORD,
    Client,
    Metadata,
    Running,
    bearer,
    new_email,
    refused,
)
from tests.second_factor import challenged, verify

from identity.store.tables import sessions as session_rows
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import session_service_pb2 as sessions


async def test_F_20_no_step_needs_the_process_of_the_last_one(launch: Launch) -> None:
    """Somebody comes, proves themselves, stays, changes and leaves; budgets, codes and devices are everybody's."""
    one = await launch()
    two = await launch(database_url=one.database_url, clock=one.clock)
    nodes = cycle([one, two])

    def node() -> Client:
        return next(nodes)

    email = new_email()
    await node().auth.Register(auth.RegisterRequest(email=email, password=PASSWORD))
    await node().auth.VerifyEmail(auth.VerifyEmailRequest(token=await one.mailbox.token(email)))
    session = await node().login(email)
    tokens = (await node().refresh(session.tokens.refresh_token)).tokens
    assert (await node().refresh(session.tokens.refresh_token)).tokens.refresh_token == tokens.refresh_token
    await node().get_session(tokens.access_token)

    for _ in range(5):
        await refused(node().login(email, WRONG_PASSWORD))
    for each in (one, two):
        assert (await refused(each.login(email))).reason == "INVALID_CREDENTIALS"
        await each.login(email, device_token=session.device_token)

    one.clock.advance(minutes=1)
    app = app_of(one, one.account(email))
    known = session.device_token
    first, second = [await challenged(each, email, device_token=known) for each in (one, two)]
    code = app.at(one.clock.now)
    entered = (await two.auth.VerifyOtp(verify(first, totp=code))).session
    assert (await refused(one.auth.VerifyOtp(verify(second, totp=code)))).reason == "OTP_INVALID"

    change = auth.ChangePasswordRequest(current_password=PASSWORD, new_password=OTHER_PASSWORD)
    one.clock.advance(minutes=1)
    change.second_factor.totp = app.at(one.clock.now)
    await one.auth.ChangePassword(change, metadata=bearer(entered.tokens.access_token))
    assert (await refused(two.refresh(tokens.refresh_token))).reason == "SESSION_REVOKED"
    assert (await refused(two.auth.VerifyOtp(verify(second, totp=code)))).reason == "TOKEN_INVALID"
    await one.sign_out(entered.tokens.access_token)
    assert (await refused(two.refresh(entered.tokens.refresh_token))).reason == "SESSION_REVOKED"


async def test_F_20_LG_06_a_session_ended_elsewhere_opens_no_other(launch: Launch) -> None:
    """Within the moment that a process needs to learn of it, a bearer may still ask, and gets no token for it."""
    one = await launch()
    two = await launch(database_url=one.database_url, clock=one.clock)
    who, host = resident(one), resident(one)
    metadata = bearer((await one.login(who.email)).tokens.access_token)
    # Ended behind the back of both, so that neither has heard of it.
    ended = update(session_rows).where(session_rows.c.account_id == who.account.id)
    one.execute(ended.values(revoked_at=one.clock.now, revoked_reason="signed_out"))
    switch = sessions.SwitchTenantRequest(tenant_id=str(who.tenant.id))
    accept = invites.AcceptInviteRequest(token=invitation(one, host, who.email))
    calls = [
        two.sessions.SwitchTenant(switch, metadata=metadata),
        two.invites.AcceptInvite(accept, metadata=metadata),
    ]
    for call in calls:
        assert (await refused(call)).reason == "SESSION_REVOKED"


async def test_F_20_F_09_a_session_ended_elsewhere_enrols_nothing_and_brings_no_device(launch: Launch) -> None:
    """Whoever was shown out a moment ago leaves neither an app of theirs behind nor a phone that is told everything."""
    one = await launch()
    two = await launch(database_url=one.database_url, clock=one.clock)
    who = resident(one)
    metadata = bearer((await one.login(who.email)).tokens.access_token)
    confirm = await begun(one, metadata)
    push = sessions.RegisterPushDeviceRequest(token="push", platform=sessions.PUSH_PLATFORM_IOS)
    ended = update(session_rows).where(session_rows.c.account_id == who.account.id)
    one.execute(ended.values(revoked_at=one.clock.now, revoked_reason="revoked"))
    calls = [
        two.factors.ConfirmTotpEnrollment(confirm, metadata=metadata),
        two.sessions.RegisterPushDevice(push, metadata=metadata),
    ]
    for call in calls:
        assert (await refused(call)).reason == "SESSION_REVOKED"
    mine = bearer((await one.login(who.email)).tokens.access_token)
    assert not (await one.factors.ListFactors(factors.ListFactorsRequest(), metadata=mine)).factors
    assert not (await one.sessions.ListPushDevices(sessions.ListPushDevicesRequest(), metadata=mine)).push_devices


async def test_F_09_signing_out_everywhere_ends_the_enrolments_that_wait(launch: Launch) -> None:
    """What an intruder began is of no use to them in a session that they get later."""
    service = await launch()
    who = resident(service)
    metadata = bearer((await service.login(who.email)).tokens.access_token)
    confirm = await begun(service, metadata)
    everywhere = sessions.RevokeSessionsRequest(selection=sessions.SESSION_SELECTION_ALL)
    await service.sessions.RevokeSessions(everywhere, metadata=metadata)
    later = bearer((await service.login(who.email)).tokens.access_token)
    assert (await refused(service.factors.ConfirmTotpEnrollment(confirm, metadata=later))).reason == "TOKEN_INVALID"


async def begun(service: Running, metadata: Metadata) -> factors.ConfirmTotpEnrollmentRequest:
    """What finishes an enrolment that has just begun."""
    begin = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD)
    waiting = await service.factors.BeginTotpEnrollment(begin, metadata=metadata)
    code = pyotp.TOTP(waiting.secret).at(service.clock.now)
    return factors.ConfirmTotpEnrollmentRequest(enrollment_token=waiting.enrollment_token, code=code)
