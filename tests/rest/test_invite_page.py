"""`/accept-invite`: looking at an invitation, and the roads that lead from there to yes and to no (RC-07)."""

from __future__ import annotations

from sqlalchemy import func, select
from tests.company import Person, company, in_two, invited, member
from tests.rest.sheet import Sheet, visit
from tests.rest.web import Web
from tests.running import PASSWORD, WRONG_PASSWORD, bearer, new_email, refused
from tests.second_factor import enrolled

from identity.store.tables import memberships, sessions
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import tenant_service_pb2 as tenants


async def test_somebody_new_looks_and_accepts(web: Web) -> None:
    owner = await company(web.service)
    email, token = await invited(web.service, owner)

    offer = await look(web, token)
    assert (offer.status, offer.heading) == (200, f"Join {owner.session.tenant.name}?")
    assert {f"{owner.email} invites you.", "User", email} <= set(offer.text.splitlines())
    short = await offer.send("accept", name="Jane Smith", password="short")
    assert (short.status, list(short.faults)) == (400, ["password"])
    assert short.form.fields == {"token": token, "name": "Jane Smith", "password": ""}
    done = await short.send("accept", password=PASSWORD)

    assert (done.status, done.heading) == (200, f"Welcome to {owner.session.tenant.name}")
    assert open_sessions(web, email) == 0
    signed_in = await web.service.login(email)
    assert (signed_in.account.name, signed_in.membership.role.key) == ("Jane Smith", "user")
    again = await look(web, token)
    assert (again.status, list(again.faults)) == (400, ["token"])


async def test_declining_tells_who_invited(web: Web) -> None:
    owner = await company(web.service)
    _, token = await invited(web.service, owner)

    done = await (await look(web, token)).send("decline")

    assert (done.status, done.heading) == (200, "You have declined")
    no = await refused(web.service.invites.ValidateInvite(invites.ValidateInviteRequest(token=token)))
    assert no.reason == "INVITE_USED"


async def test_an_account_signs_in_on_the_way_and_stays_signed_in_nowhere(web: Web) -> None:
    """Of somebody with one tenant and with several: the session of the page moves, so that none need be chosen."""
    alone = (await member(web.service, await company(web.service))).email
    busy, _, _ = await in_two(web.service)
    for email, tenants_before in ((alone, 1), (busy, 2)):
        owner, sessions_before = await company(web.service), open_sessions(web, email)
        offer = await look(web, await invite(web, owner, email, tenants_before + 1))
        assert list(offer.form.fields) == ["token", "password"]

        wrong = await offer.send("sign_in", password=WRONG_PASSWORD)
        assert (wrong.status, wrong.alerts) == (401, ["The password is not right, or the account may not sign in."])
        done = await wrong.send("sign_in", password=PASSWORD)

        assert done.heading == f"Welcome to {owner.session.tenant.name}"
        assert open_sessions(web, email) == sessions_before
        assert number_of_tenants(web, email) == tenants_before + 1


async def test_an_account_with_an_app_gives_a_code(web: Web) -> None:
    person = await enrolled(web.service)
    _, token = await invited(web.service, await company(web.service), email=person.email)
    asked = await (await look(web, token)).send("sign_in", password=PASSWORD)
    assert (asked.status, asked.heading, asked.forms[1:]) == (200, "Enter your code", [])
    assert "authenticator app" in asked.text

    letters = await asked.send("code", code="abc")
    assert (letters.status, letters.faults) == (400, {"code": "Enter the six digits, or one of your recovery codes."})
    wrong = await letters.send("code", code="000 000")
    assert (wrong.status, wrong.alerts) == (401, ["The code is not right, or was used before."])
    web.service.clock.advance(minutes=1)
    code = person.code(web.service)
    done = await wrong.send("code", code=f"{code[:3]} {code[3:]}")

    assert (done.status, done.heading[:10]) == (200, "Welcome to")
    token = await invite(web, await company(web.service), person.email, 2)
    asked = await (await look(web, token)).send("sign_in", password=PASSWORD)
    assert (await asked.send("code", code=person.recovery_codes[0])).heading.startswith("Welcome to")


async def test_an_account_with_mailed_codes_can_have_another(web: Web) -> None:
    email = await web.service.verified()
    access = (await web.service.login(email)).tokens.access_token
    switch = factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD)
    await web.service.factors.SetEmailOtp(switch, metadata=bearer(access))
    _, token = await invited(web.service, await company(web.service), email=email)
    asked = await (await look(web, token)).send("sign_in", password=PASSWORD)
    assert f"We have mailed it to {email}." in asked.text
    await web.service.mailbox.alone(email, "[0-9]{6}")

    web.service.clock.advance(minutes=2)
    again = await asked.send("send")
    code = await web.service.mailbox.alone(email, "[0-9]{6}", 2)

    assert "A new code is on its way" in again.text
    assert (await again.send("code", code=code)).heading.startswith("Welcome to")


async def test_a_sign_in_that_took_too_long_starts_again(web: Web) -> None:
    person = await enrolled(web.service)
    _, token = await invited(web.service, await company(web.service), email=person.email)
    asked = await (await look(web, token)).send("sign_in", password=PASSWORD)

    web.service.clock.advance(minutes=10)
    late = await asked.send("code", code=person.code(web.service))

    assert (late.status, late.alerts) == (401, ["Signing in took too long. Enter your password again."])
    assert list(late.form.fields) == ["token", "password"]


async def test_PW_07_a_temporary_password_is_replaced_first(web: Web) -> None:
    owner, email = await company(web.service), new_email()
    wish = accounts.CreateAccountRequest(email=email, name="New", locale="en")
    await web.service.accounts.CreateAccount(wish, metadata=owner.metadata)
    temporary = await web.service.mailbox.alone(email, "[A-Za-z0-9]{4}(-[A-Za-z0-9]{4}){3}")
    web.service.clock.advance(minutes=2)
    await web.service.auth.ResendVerification(auth.ResendVerificationRequest(email=email))
    proof = await web.service.mailbox.token(email)
    await web.service.auth.VerifyEmail(auth.VerifyEmailRequest(token=proof))
    _, token = await invited(web.service, await company(web.service), email=email)

    told = await (await look(web, token)).send("sign_in", password=temporary)

    assert (told.status, told.heading) == (200, "First choose a password of your own")
    assert "reset-password" in told.links
    assert open_sessions(web, email) == 0
    assert (await look(web, token)).status == 200


async def test_a_role_that_asks_for_a_factor_is_told_and_the_invitation_waits(web: Web) -> None:
    owner = await company(web.service)
    role = tenants.PutRoleRequest(key="keeper", name="Keeper", level=5, mfa_required=True)
    await web.service.tenants.PutRole(role, metadata=owner.metadata)
    email = await web.service.verified()
    _, token = await invited(web.service, owner, "keeper", email)

    told = await (await look(web, token)).send("sign_in", password=PASSWORD)

    assert (told.status, len(told.alerts)) == (400, 1)
    assert "asks for a second factor" in told.alerts[0]
    assert open_sessions(web, email) == 0
    assert (await look(web, token)).status == 200


async def look(web: Web, token: str) -> Sheet:
    return await (await visit(web.client, "/accept-invite")).send(token=token)


async def invite(web: Web, owner: Person, email: str, number: int) -> str:
    """The token of somebody's invitation, of which it is the second or later."""
    wish = invites.CreateInviteRequest(email=email, role="user", locale="en")
    web.service.clock.advance(minutes=2)
    await web.service.invites.CreateInvite(wish, metadata=owner.metadata)
    return await web.service.mailbox.token(email, number, subject="You are invited")


def open_sessions(web: Web, email: str) -> int:
    mine = (sessions.c.account_id == web.service.account(email).id, sessions.c.revoked_at.is_(None))
    return int(web.service.rows(select(func.count()).select_from(sessions).where(*mine))[0][0])


def number_of_tenants(web: Web, email: str) -> int:
    mine = memberships.c.account_id == web.service.account(email).id
    return int(web.service.rows(select(func.count()).select_from(memberships).where(mine))[0][0])
