"""The mobile app against the container: its document's examples over HTTP, gRPC, a database and SMTP."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pyotp
import pytest
import pytest_asyncio
from tests.company import in_two
from tests.conftest import Launch
from tests.mailbox import lines_of
from tests.rest.web import Web, browsing
from tests.running import PASSWORD, bearer, new_email

from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors

DEVICE = {
    "device_type": "Mobile",
    "device_name": "SAMSUNG GALAXY A13",
    "device_os": "Android",
    "device_fingerprint": "HJJKJ6-BKJLOI-12",
}
ACCOUNT = [
    "failed_attempts", "id", "uuid", "email", "phone", "password_digest", "accountable_type", "accountable_id",
    "role_id", "remember_created_at", "sign_in_count", "current_sign_in_at", "last_sign_in_at", "current_sign_in_ip",
    "last_sign_in_ip", "account_confirmed_at", "account_confirmed", "unlock_token", "locked_at",
    "two_factor_enabled", "provider", "provider_uid", "created_at", "updated_at",
]  # fmt: skip
WITH_COMPANIES = {
    "owner": {
        "name": "Owner",
        "level": 50,
        "self_register": True,
        "creates_tenant": "company",
        "permissions": {"invites": {"create": True}},
    },
    "user": {"name": "User", "level": 1},
}
MOMENT = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


# Connexion.


async def test_connexion_au_compte(mobile: Web) -> None:
    email = await mobile.service.verified()

    answer = await mobile.call("POST", "/api/v1/auth/login", credentials(email))

    assert list(answer) == ["status", "access_token", "refresh_token", "account"]
    assert answer["status"] == 200
    account = answer["account"]
    assert list(account) == ACCOUNT
    stored = mobile.service.account(email)
    assert account | {"created_at": "", "updated_at": "", "account_confirmed_at": "", "current_sign_in_at": ""} == {
        "failed_attempts": 0,
        "id": stored.number,
        "uuid": str(stored.id),
        "email": email,
        "phone": None,
        "password_digest": None,
        "accountable_type": "Customer",
        "accountable_id": stored.number,
        "role_id": 4,
        "remember_created_at": None,
        "sign_in_count": 1,
        "current_sign_in_at": "",
        "last_sign_in_at": None,
        "current_sign_in_ip": None,
        "last_sign_in_ip": None,
        "account_confirmed_at": "",
        "account_confirmed": True,
        "unlock_token": None,
        "locked_at": None,
        "two_factor_enabled": False,
        "provider": "local",
        "provider_uid": None,
        "created_at": "",
        "updated_at": "",
    }
    moments = ("created_at", "updated_at", "account_confirmed_at", "current_sign_in_at")
    assert all(MOMENT.fullmatch(account[name]) for name in moments)


async def test_Z_07_the_access_token_has_the_claims_of_the_document(mobile: Web) -> None:
    """Signed with a published key instead of a shared one; good as a bearer for the canonical API."""
    email = await mobile.service.verified()
    answer = await mobile.call("POST", "/api/v1/auth/login", credentials(email))

    header, claims = (decoded(part) for part in answer["access_token"].split(".")[:2])

    keys = (await mobile.call("GET", "/.well-known/jwks.json"))["keys"]
    assert header["alg"] == "ES256" and header["kid"] in {key["kid"] for key in keys}
    me = await mobile.call("GET", "/v1/session", bearer=answer["access_token"])
    assert claims["account_id"] == answer["account"]["id"]
    assert (claims["device_id"], claims["session_uuid"]) == (me["session"]["number"], me["session"]["id"])
    assert UUID.fullmatch(claims["session_uuid"]) and claims["jti"]
    assert (claims["iss"], claims["aud"]) == ("AuthService", "client")
    assert claims["exp"] > mobile.service.clock.now.timestamp()


async def test_Z_28_the_device_is_a_label_of_the_session(mobile: Web) -> None:
    email = await mobile.service.verified()
    answer = await mobile.call("POST", "/api/v1/auth/login", credentials(email))

    sessions = await mobile.call("GET", "/v1/sessions", bearer=answer["access_token"])

    assert sessions["sessions"][0]["device"] == {name.removeprefix("device_"): value for name, value in DEVICE.items()}


async def test_the_refresh_token_goes_on_at_the_canonical_api(mobile: Web) -> None:
    email = await mobile.service.verified()
    answer = await mobile.call("POST", "/api/v1/auth/login", credentials(email))

    renewed = await mobile.call("POST", "/v1/session:refresh", {"refreshToken": answer["refresh_token"]})

    assert decoded(renewed["tokens"]["accessToken"].split(".")[1])["account_id"] == answer["account"]["id"]


async def test_the_second_sign_in_tells_of_the_first(mobile: Web) -> None:
    email = await mobile.service.verified()
    first = await mobile.call("POST", "/api/v1/auth/login", credentials(email))
    mobile.service.clock.advance(seconds=5)

    second = await mobile.call("POST", "/api/v1/auth/login", credentials(email))

    assert second["account"]["sign_in_count"] == 2
    assert second["account"]["last_sign_in_at"] == first["account"]["current_sign_in_at"]


async def test_somebody_signs_in_with_a_phone_number(mobile: Web) -> None:
    await mobile.service.auth.Register(auth.RegisterRequest(phone="+32470123456", password=PASSWORD))

    answer = await mobile.call("POST", "/api/v1/auth/login", credentials("+32 470 12 34 56"))

    assert (answer["account"]["email"], answer["account"]["phone"]) == (None, "+32470123456")
    assert (answer["account"]["account_confirmed"], answer["account"]["account_confirmed_at"]) == (False, None)


async def test_LG_01_one_failure_for_everybody(mobile: Web) -> None:
    email = await mobile.service.verified()

    wrong = await mobile.client.post("/api/v1/auth/login", json=credentials(email, "mauvais mot de passe"))
    nobody = await mobile.client.post("/api/v1/auth/login", json=credentials(new_email()))

    assert wrong.status_code == nobody.status_code == 401
    assert wrong.content == nobody.content
    assert wrong.json() == {"status": 401, "message": "Identifiants invalides.", "code": "INVALID_CREDENTIALS"}


async def test_an_unproven_address_is_told_to_its_owner_alone(mobile: Web) -> None:
    email = await mobile.service.registered()

    proven = await mobile.call("POST", "/api/v1/auth/login", credentials(email), status=403)
    guessed = await mobile.call("POST", "/api/v1/auth/login", credentials(email, "mauvais mot de passe"), status=401)

    assert (proven["status"], proven["code"]) == (403, "EMAIL_NOT_VERIFIED")
    assert proven["message"].startswith("Confirmez votre adresse")
    assert guessed["code"] == "INVALID_CREDENTIALS"


# Code 2FA.


async def test_a_second_factor_from_the_sign_in_to_the_tokens(mobile: Web) -> None:
    """Login mails a code and gives no token; it is sent again; password and code together give the tokens."""
    email = await with_mailed_codes(mobile)

    asked = await mobile.call("POST", "/api/v1/auth/login", credentials(email))
    assert asked == {"status": 200, "message": "Un code OTP de 6 chiffres a été envoyé.", "two_factor_required": True}
    mobile.service.clock.advance(seconds=61)
    again = await mobile.call("POST", "/api/v1/auth/2fa/request-otp", {"identifier": email}, status=201)
    assert again == {"status": 201, "message": "Un code OTP de 6 chiffres a été renvoyé."}
    code = await mobile.service.mailbox.alone(email, "[0-9]{6}", 2)
    answer = await mobile.call("POST", "/api/v1/auth/2fa/verify", {**credentials(email), "otp": code})

    assert list(answer) == ["status", "access_token", "refresh_token", "account"]
    assert list(answer["account"]) == ACCOUNT
    assert (answer["status"], answer["account"]["two_factor_enabled"]) == (200, True)
    replayed = await mobile.call("POST", "/api/v1/auth/2fa/verify", {**credentials(email), "otp": code}, status=401)
    assert replayed["code"] == "INVALID_CREDENTIALS"


async def test_Z_10_asking_for_a_code_always_looks_the_same(mobile: Web) -> None:
    """Nobody gets a mail before their password was right, and nobody learns who has an account."""
    email = await with_mailed_codes(mobile)

    answers = [
        await mobile.client.post("/api/v1/auth/2fa/request-otp", json={"identifier": identifier})
        for identifier in (email, new_email(), "no identifier at all", "+32470000000")
    ]

    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    await mobile.service.mails_sent()
    lines = [line for mail in mobile.service.mailbox.of(email) for line in lines_of(mail)]
    assert [line for line in lines if re.fullmatch("[0-9]{6}", line)] == []


async def test_Z_11_password_and_code_fail_alike(mobile: Web) -> None:
    email = await with_mailed_codes(mobile)
    await mobile.call("POST", "/api/v1/auth/login", credentials(email))
    code = await mobile.service.mailbox.alone(email, "[0-9]{6}")
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"

    failures = [
        await mobile.client.post("/api/v1/auth/2fa/verify", json=body)
        for body in (
            {**credentials(email), "otp": wrong},
            {**credentials(email, "mauvais mot de passe"), "otp": code},
            {**credentials(email), "otp": code, "device_fingerprint": "ANOTHER"},
            {**credentials(new_email()), "otp": code},
        )
    ]

    assert {(failure.status_code, failure.content) for failure in failures} == {(401, failures[0].content)}
    await mobile.call("POST", "/api/v1/auth/2fa/verify", {**credentials(email), "otp": code})


@pytest.mark.parametrize("fresh_database", ["sqlite"], indirect=True, scope="session")  # no database has a say
@pytest.mark.parametrize("otp", ["12345", "1234567", "12 456", "abcdef", "１２３４５６", ""])
async def test_Z_09_a_code_has_six_digits_and_another_one_costs_nothing(mobile: Web, otp: str) -> None:
    refused = await mobile.call("POST", "/api/v1/auth/2fa/verify", {**credentials(new_email()), "otp": otp}, status=400)

    assert [fault["field"] for fault in refused["errors"]] == ["otp"]


async def test_OT_04_after_five_wrong_codes_a_new_one_is_needed(mobile: Web) -> None:
    email = await with_mailed_codes(mobile)
    await mobile.call("POST", "/api/v1/auth/login", credentials(email))
    code = await mobile.service.mailbox.alone(email, "[0-9]{6}")
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for _ in range(5):
        await mobile.call("POST", "/api/v1/auth/2fa/verify", {**credentials(email), "otp": wrong}, status=401)
        mobile.service.clock.advance(seconds=60)

    over = await mobile.call("POST", "/api/v1/auth/2fa/verify", {**credentials(email), "otp": code}, status=401)

    assert over == {"status": 401, "message": "Le code a expiré. Demandez-en un nouveau.", "code": "OTP_EXPIRED"}


async def test_an_authenticator_app_gets_words_of_its_own(mobile: Web) -> None:
    email = await mobile.service.verified()
    app = await with_app(mobile, email)

    asked = await mobile.call("POST", "/api/v1/auth/login", credentials(email))
    code = app.at(mobile.service.clock.now)
    answer = await mobile.call("POST", "/api/v1/auth/2fa/verify", {**credentials(email), "otp": code})

    assert (asked["two_factor_required"], "application" in asked["message"]) == (True, True)
    assert answer["account"]["email"] == email


# Beyond the document.


async def test_PW_07_a_temporary_password_gets_no_tokens(mobile: Web, admin: str) -> None:
    """The document knows no way to change it: what to do is said instead."""
    email = new_email()
    wish = accounts.CreateAccountRequest(email=email, name="Nouvelle", role="staff")
    await mobile.service.accounts.CreateAccount(wish, metadata=bearer(admin))
    password = await mobile.service.mailbox.alone(email, r"\S{16,}")

    refused = await mobile.call("POST", "/api/v1/auth/login", credentials(email, password), status=403)

    assert (refused["code"], "provisoire" in refused["message"]) == ("PASSWORD_CHANGE_REQUIRED", True)


@pytest.mark.parametrize("fresh_database", ["sqlite"], indirect=True, scope="session")  # no database has a say
async def test_who_belongs_to_several_tenants_enters_the_first(launch: Launch) -> None:
    """The document has one at most, and no way to ask for another."""
    service = await launch(preset="mobile", policy={"roles": WITH_COMPANIES}, rest_address="127.0.0.1:0")
    await service.registered()  # so that numbers of accounts and memberships differ
    email, one, two = await in_two(service)
    assert one.session.tenant.name < two.session.tenant.name
    async with browsing(service) as web:
        answer = await web.call("POST", "/api/v1/auth/login", credentials(email))
        me = await web.call("GET", "/v1/session", bearer=answer["access_token"])

    assert me["tenant"]["name"] == one.session.tenant.name
    assert answer["account"]["accountable_id"] == me["membership"]["number"]
    assert answer["account"]["accountable_type"] == "User"


@pytest.mark.parametrize("fresh_database", ["sqlite"], indirect=True, scope="session")  # no database has a say
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"identifier": "a@example.org"}, ["password"]),
        ({"password": PASSWORD}, ["identifier"]),
        ({"identifier": 6, "password": None}, ["identifier", "password"]),
        ({"identifier": "a@example.org", "password": PASSWORD, "device_os": 11}, ["device_os"]),
        ({"identifier": "a@example.org", "password": PASSWORD, "device_name": "x" * 129}, ["device_name"]),
        ({"identifier": "a@example.org", "password": "x" * 129}, ["password"]),
        ({"identifier": "neither", "password": PASSWORD}, ["identifier"]),
        ({"identifier": "a\0@example.org", "password": PASSWORD}, ["identifier"]),
    ],
)
async def test_bad_input_is_told_by_field_and_in_french(mobile: Web, body: Any, fields: list[str]) -> None:
    refused = await mobile.call("POST", "/api/v1/auth/login", body, status=400)

    assert (refused["status"], refused["message"]) == (400, "La requête n'est pas valide.")
    assert [fault["field"] for fault in refused["errors"]] == fields
    assert all(fault["message"].endswith(("acceptée.", "obligatoire.")) for fault in refused["errors"])


async def test_what_the_app_sends_beyond_its_document_is_left_alone(mobile: Web) -> None:
    email = await mobile.service.verified()

    await mobile.call("POST", "/api/v1/auth/login", {**credentials(email), "app_version": "1.2.3", "device_os": None})


async def test_LG_04_a_source_that_failed_too_often_is_told_to_wait(mobile: Web) -> None:
    headers = await mobile.exhausted()

    answer = await mobile.client.post("/api/v1/auth/login", json=credentials(new_email()), headers=headers)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "900")
    assert answer.json() == {
        "status": 429,
        "message": "Trop de tentatives. Réessayez plus tard.",
        "code": "RATE_LIMITED",
    }


# People.


@pytest_asyncio.fixture(scope="session")
async def admin(mobile: Web) -> str:
    """The access token of who set the place up."""
    wish = auth.SetupRequest(email=new_email(), password=PASSWORD, tenant_name="Maison")
    return str((await mobile.service.auth.Setup(wish)).session.tokens.access_token)


def credentials(identifier: str, password: str = PASSWORD) -> dict[str, Any]:
    """What the app sends to sign in."""
    return {"identifier": identifier, "password": password, **DEVICE}


async def with_mailed_codes(mobile: Web) -> str:
    """The address of somebody new whose sign-ins ask for a mailed code."""
    email = await mobile.service.verified()
    access_token = (await mobile.service.login(email)).tokens.access_token
    wish = factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD)
    await mobile.service.factors.SetEmailOtp(wish, metadata=bearer(access_token))
    return email


async def with_app(mobile: Web, email: str) -> pyotp.TOTP:
    """An authenticator app, enrolled."""
    metadata = bearer((await mobile.service.login(email)).tokens.access_token)
    begun = await mobile.service.factors.BeginTotpEnrollment(
        factors.BeginTotpEnrollmentRequest(current_password=PASSWORD), metadata=metadata
    )
    app = pyotp.TOTP(begun.secret)
    await mobile.service.factors.ConfirmTotpEnrollment(
        factors.ConfirmTotpEnrollmentRequest(
            enrollment_token=begun.enrollment_token, code=app.at(mobile.service.clock.now)
        ),
        metadata=metadata,
    )
    mobile.service.clock.advance(seconds=60)
    return app


def decoded(part: str) -> Any:
    """A part of a JWT."""
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
