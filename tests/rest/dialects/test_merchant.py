"""The merchant product over HTTP: its document from top to bottom, for the back office and for the app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pyotp
import pytest
import pytest_asyncio
from tests.mailbox import text_of
from tests.rest.dialects.merchants import NAME, OTHER, PASSWORD, claims, login, proven, registered
from tests.rest.web import Web
from tests.running import Metadata, bearer, new_email

from identity.domain.service_access import create_service_key, learn_service_keys
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import resources_pb2 as resources

INVALID: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"role": "Manager", "companyName": None}, "INVALID_REQUEST", "companyName"),
    ({"role": "Association"}, "INVALID_REQUEST", "associationName"),
    ({"role": "Emperor"}, "INVALID_REQUEST", "role"),
    ({"role": None}, "INVALID_REQUEST", "role"),
    ({"firstName": 5}, "INVALID_REQUEST", "firstName"),
    ({"email": "not an address"}, "INVALID_REQUEST", "email"),
    ({"phoneNumber": "12", "phoneNumberCountry": "FR"}, "INVALID_REQUEST", "phoneNumber"),
    ({"phoneNumber": "0612345678", "phoneNumberCountry": "France"}, "INVALID_REQUEST", "phoneNumberCountry"),
    ({"password": "alllowercase1!"}, "PASSWORD_COMPOSITION", "password"),
)


async def test_the_back_office_from_top_to_bottom(front: Web) -> None:
    """Register a manager, sign in with a mailed code, refresh by user id, reset the password, sign out."""
    email = new_email()
    body = {
        **NAME,
        "email": email,
        "password": PASSWORD,
        "role": "Manager",
        "companyName": "Radium SA",
        "origin": "dashboard",
        "phoneNumber": "06 12 34 56 79",
        "phoneNumberCountry": "FR",
    }
    assert await front.call("POST", "/auth/register?lang=fr", body) == {"success": True, "status": 200}
    assert "Confirmez" in str((await front.service.mailbox.wait(email))["Subject"])

    signed_in = await login(front, email)
    assert signed_in == {"success": True, "status": 200, "token": None, "data": {"token": None, "user": None}}
    otp = {"emailOtp": await front.service.mailbox.alone(email, "[0-9]{6}")}
    finished = await front.call("POST", "/auth/otp", otp)
    user = finished["data"]["user"]
    assert user == {
        **NAME,
        "id": claims(finished)["sub"],
        "email": email,
        "role": "Manager",
        "phoneNumber": "+33612345679",
        "companyName": "Radium SA",
        "associationName": None,
    }
    assert finished["token"] == finished["data"]["token"]
    assert (await front.call("GET", "/v1/session", bearer=finished["token"]))["account"]["id"] == user["id"]
    assert (await front.call("POST", "/auth/otp", otp, status=401))["code"] == "TOKEN_INVALID"

    mine = {"x-user-id": user["id"]}
    refreshed = await front.call("POST", "/auth/refresh-token", headers=mine)
    assert (refreshed["data"]["user"], refreshed["token"] != finished["token"]) == (user, True)

    front.service.clock.advance(minutes=2)
    sent = await front.call("POST", "/auth/reset-password/send?lang=nl", {"email": email, "origin": "dashboard"})
    assert sent == {"success": True, "status": 200}
    token = await front.service.mailbox.token(email, subject="wachtwoord")
    change = {"token": token, "newPassword": OTHER}
    assert await front.call("POST", "/auth/reset-password/change", change) == {"success": True, "status": 200}
    await front.call("POST", "/auth/refresh-token", headers=mine, status=401)
    assert (await front.call("POST", "/auth/reset-password/change", change, status=400))["code"] == "LINK_USED"

    assert (await login(front, email, OTHER))["token"] is None
    assert await front.call("POST", "/auth/sign-out", headers=mine) == {"success": True, "status": 200}


async def test_the_app_from_sign_in_to_sign_out(front: Web) -> None:
    """A plain user of the app has no second factor, tells no origin in a header, and one cookie without an id."""
    email = await registered(front)

    signed_in = await login(front, email, origin="application", path="/auth/login")
    assert signed_in["data"]["user"]["role"] == "User"
    assert set(front.client.cookies) == {"refreshToken", "device"}
    refreshed = await front.call("POST", "/auth/refresh-token")
    assert claims(refreshed)["sid"] == claims(signed_in)["sid"]

    await front.call("POST", "/auth/sign-out")
    await front.call("POST", "/auth/refresh-token", status=401)
    ended = await front.call("GET", "/v1/session", bearer=refreshed["token"], status=401)
    assert ended["details"][0]["reason"] == "SESSION_REVOKED"


async def test_an_association_comes_into_being_with_who_registers_it(front: Web) -> None:
    email = await registered(front, role="Association", associationName="Curiethérapie ASBL")

    user = (await login(front, email))["data"]["user"]

    assert (user["role"], user["associationName"], user["companyName"]) == ("Association", "Curiethérapie ASBL", None)


async def test_bad_input_is_told_by_the_products_own_names(front: Web) -> None:
    for changes, code, field in INVALID:
        body = {**NAME, "email": new_email(), "password": PASSWORD, "role": "User", **changes}
        refused = await front.call("POST", "/auth/register", body, status=400)
        assert (refused["success"], refused["status"], refused["code"]) == (False, 400, code)
        assert [error["field"] for error in refused["errors"]] == [field]


async def test_RC_04_a_language_is_one_of_three(front: Web) -> None:
    body = {**NAME, "email": new_email(), "password": PASSWORD, "role": "User"}

    for path in ("/auth/register", "/auth/reset-password/send"):
        refused = await front.call("POST", f"{path}?lang=de", body, status=400)
        assert [error["field"] for error in refused["errors"]] == ["lang"]


async def test_PW_07_a_temporary_password_gets_no_tokens_and_a_reset_replaces_it(front: Web) -> None:
    """The document has no other call for it; an administrator lets people in with one."""
    email, admin = new_email(), await _boss(front, "Radium SA")
    await front.service.accounts.CreateAccount(
        accounts.CreateAccountRequest(email=email, name="Irène", role="user"), metadata=admin
    )
    temporary = await front.service.mailbox.alone(email, r"\S{16,}")

    refused = await login(front, email, temporary, status=403)
    front.service.clock.advance(minutes=2)
    await front.call("POST", "/auth/reset-password/send", {"email": email})
    token = await front.service.mailbox.token(email, subject="Choose a new password")
    await front.call("POST", "/auth/reset-password/change", {"token": token, "newPassword": OTHER})

    assert refused["code"] == "PASSWORD_CHANGE_REQUIRED"
    assert (await login(front, email, OTHER))["token"]


async def test_who_belongs_to_several_companies_enters_the_first(front: Web) -> None:
    """The document knows one company for each user, and no way to ask for another."""
    email, bosses = new_email(), [await _boss(front, company) for company in ("Zinc SA", "Argent SA")]
    token = await _invited(front, bosses[0], email)
    wish = invites.AcceptInviteRequest(token=token, password=PASSWORD, first_name="Irène", last_name="Curie")
    guest = await front.service.invites.AcceptInvite(wish)
    front.service.clock.advance(seconds=61)
    wish = invites.AcceptInviteRequest(token=await _invited(front, bosses[1], email, 2))
    await front.service.invites.AcceptInvite(wish, metadata=bearer(guest.session.tokens.access_token))

    signed_in = await login(front, email)

    assert signed_in["data"]["user"]["companyName"] == "Argent SA"


async def test_LG_04_a_source_that_failed_too_often_is_told_to_wait(front: Web) -> None:
    source = await front.exhausted()

    refused = await login(front, new_email(), headers=source, status=429)

    assert (refused["code"], refused["status"]) == ("RATE_LIMITED", 429)


async def test_Z_15_privileged_roles_are_not_for_the_asking(front: Web) -> None:
    body = {**NAME, "email": new_email(), "password": PASSWORD, "companyName": "Radium SA"}

    for role in ("SuperManager", "SuperAdmin", "Cashier", "Observer"):
        refused = await front.call("POST", "/auth/register", {**body, "role": role}, status=400)
        assert (refused["code"], refused["errors"][0]["field"]) == ("ROLE_NOT_ALLOWED", "role")


async def test_Z_02_the_public_gets_a_mail_whatever_origin_it_tells(front: Web) -> None:
    """Also with a bearer that is no service key."""
    email = await registered(front)
    token = (await login(front, email))["token"]
    front.service.clock.advance(minutes=2)

    for credential in ("", token, "nonsense"):
        body = {"email": email, "origin": "application"}
        sent = await front.call("POST", "/auth/reset-password/send", body, bearer=credential)
        assert sent == {"success": True, "status": 200}
    assert await front.service.mailbox.token(email, subject="Choose a new password")


async def test_Z_02_a_backend_with_the_scope_gets_the_token_itself(front: Web, reset_key: str) -> None:
    email = await registered(front)
    front.service.clock.advance(minutes=2)

    body = {"email": email, "origin": "application"}
    sent = await front.call("POST", "/auth/reset-password/send", body, bearer=reset_key)

    change = {"token": sent["data"]["token"], "newPassword": OTHER}
    await front.call("POST", "/auth/reset-password/change", change)
    assert (await login(front, email, OTHER))["token"]
    unknown = {"email": new_email(), "origin": "application"}
    nobody = await front.call("POST", "/auth/reset-password/send", unknown, bearer=reset_key)
    assert nobody == {"success": True, "status": 200}


async def test_Z_02_other_origins_get_a_mail_with_a_service_key_too(front: Web, reset_key: str) -> None:
    email = await registered(front)
    front.service.clock.advance(minutes=2)

    sent = await front.call("POST", "/auth/reset-password/send", {"email": email}, bearer=reset_key)

    assert "data" not in sent
    assert await front.service.mailbox.token(email, subject="Choose a new password")


async def test_Z_30_a_super_admin_gets_the_same_answer_and_no_mail(front: Web) -> None:
    admin = new_email()
    await front.service.auth.Setup(auth.SetupRequest(email=admin, password=PASSWORD, tenant_name="The Operator"))

    sent = [await front.call("POST", "/auth/reset-password/send", {"email": email}) for email in (admin, new_email())]

    assert sent == [{"success": True, "status": 200}] * 2
    await front.service.mails_sent(password=PASSWORD)
    assert all("password" not in str(mail["Subject"]) for mail in front.service.mailbox.of(admin))


async def test_Z_12_a_code_goes_to_the_address_on_file_alone(front: Web) -> None:
    """And to nobody without a sign-in that waits; the answer never tells."""
    email, stranger = await registered(front, role="Manager", companyName="Radium SA"), new_email()
    await login(front, email)
    front.service.clock.advance(seconds=61)

    for address in (stranger, email):
        assert await front.call("POST", "/auth/otp/email", {"email": address}) == {"success": True, "status": 200}
    code = await front.service.mailbox.alone(email, "[0-9]{6}", 2)
    front.client.cookies.clear()
    assert await front.call("POST", "/auth/otp/email", {"email": email}) == {"success": True, "status": 200}
    await front.service.mails_sent(password=PASSWORD)
    assert not front.service.mailbox.count(stranger)
    assert code in text_of(front.service.mailbox.of(email)[-1]), (
        "the newest mail is the one that was asked for with the cookie"
    )


async def test_an_authenticator_app_and_its_recovery_codes_are_proven_as_otp(front: Web) -> None:
    """Once there is an app no code is mailed any more (OT-06)."""
    email = await registered(front, role="Manager", companyName="Radium SA")
    metadata = bearer((await proven(front, email))["token"])
    front.service.clock.advance(seconds=61)
    await front.service.factors.SendFactorCode(factors.SendFactorCodeRequest(), metadata=metadata)
    mailed = resources.SecondFactor(email_code=await front.service.mailbox.alone(email, "[0-9]{6}", 2))
    wish = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD, second_factor=mailed)
    begun = await front.service.factors.BeginTotpEnrollment(wish, metadata=metadata)
    app = pyotp.TOTP(begun.secret)
    confirmed = await front.service.factors.ConfirmTotpEnrollment(
        factors.ConfirmTotpEnrollmentRequest(
            enrollment_token=begun.enrollment_token, code=app.at(front.service.clock.now)
        ),
        metadata=metadata,
    )
    front.service.clock.advance(seconds=60)

    for otp in (app.at(front.service.clock.now), confirmed.recovery_codes[0]):
        await login(front, email)
        await front.call("POST", "/auth/otp/email", {"email": email})
        assert claims(await front.call("POST", "/auth/otp", {"otp": otp}))["amr"][-1] == "mfa"
    assert len([mail for mail in front.service.mailbox.of(email) if "code" in str(mail["Subject"]).lower()]) == 2


async def test_OT_03_a_code_is_six_digits_or_a_recovery_code(front: Web) -> None:
    """What is neither is charged to nobody."""
    await login(front, await _manager(front))
    for malformed in (
        {},
        {"otp": "", "emailOtp": None},
        {"otp": "123456", "emailOtp": "123456"},
        {"otp": "12345"},
        {"otp": "１２３４５６"},
    ):
        refused = await front.call("POST", "/auth/otp", malformed, status=400)
        assert (refused["code"], refused["errors"][0]["field"]) == ("INVALID_REQUEST", "otp")

    for wrong in ("000000", "aaaaa-bbbbb-ccccc"):
        assert (await front.call("POST", "/auth/otp", {"otp": wrong}, status=401))["code"] == "OTP_INVALID"
    by_mail = await front.call("POST", "/auth/otp", {"emailOtp": "12345"}, status=400)
    assert by_mail["errors"][0]["field"] == "emailOtp"


@pytest_asyncio.fixture
async def front(merchant: Web) -> AsyncIterator[Web]:
    """A browser without cookies."""
    async with merchant.another() as web:
        yield web


@pytest.fixture
def reset_key(front: Web) -> str:
    """A service key with the scope reset:issue."""
    key = create_service_key(front.service.world, new_email(), ["reset:issue"])
    learn_service_keys(front.service.world)
    return key


async def _manager(front: Web, company: str = "Radium SA") -> str:
    return await registered(front, role="Manager", companyName=company)


async def _boss(front: Web, company: str) -> Metadata:
    """The bearer of a manager who may invite, and make accounts."""
    email = await _manager(front, company)
    await front.service.auth.VerifyEmail(auth.VerifyEmailRequest(token=await front.service.mailbox.token(email)))
    return bearer((await proven(front, email))["token"])


async def _invited(front: Web, boss: Metadata, email: str, count: int = 1) -> str:
    wish = invites.CreateInviteRequest(email=email, role="user", locale="en")
    await front.service.invites.CreateInvite(wish, metadata=boss)
    return await front.service.mailbox.token(email, count, subject="invited")
