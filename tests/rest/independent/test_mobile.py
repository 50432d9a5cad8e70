"""The mobile product's document from top to bottom, by an app that was written from it alone.

What the document leaves out people do elsewhere: they register through `POST /v1/register`, and switch codes by mail on
through `POST /v1/factors:setEmailOtp`. Until they do, a sign-in is one call.

Where the document asks for something unsafe the app sees this instead: `password_digest` and `unlock_token` are never
filled (Z-01), a code has six digits, so that the five of the example are refused and not counted (Z-09), and asking for
a code mails one only after a right password, though the answer is always the same (Z-10).
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from tests.conftest import Launch
from tests.mailbox import lines_of
from tests.rest.independent.mobile_client import MobileClient
from tests.rest.independent.senders import Fetch, an_app, claims_of, json_of, types_of
from tests.running import Running, new_email

PASSWORD, WRONG = "quatre lanternes en file", "quatre lanternes de trop"
NUMBER = "+33612345678"
CODE = r"\d{6}"
SENT = {"status": 201, "message": "Un code OTP de 6 chiffres a été renvoyé."}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

# The fields of the documented account: what its example holds, and `None` where that is null.
ACCOUNT = {
    "failed_attempts": int,
    "id": int,
    "uuid": str,
    "email": str,
    "phone": None,
    "password_digest": None,
    "accountable_type": str,
    "accountable_id": int,
    "role_id": int,
    "remember_created_at": None,
    "sign_in_count": int,
    "current_sign_in_at": None,
    "last_sign_in_at": None,
    "current_sign_in_ip": None,
    "last_sign_in_ip": None,
    "account_confirmed_at": str,
    "account_confirmed": bool,
    "unlock_token": None,
    "locked_at": None,
    "two_factor_enabled": bool,
    "provider": str,
    "provider_uid": None,
    "created_at": str,
    "updated_at": str,
}
# What the example of a first sign-in leaves null, and what a later sign-in tells.
SIGN_INS = {"current_sign_in_at", "last_sign_in_at", "current_sign_in_ip", "last_sign_in_ip"}


async def test_an_app_written_from_the_document_works_with_the_mobile_dialect(launch: Launch) -> None:
    service = await launch(preset="mobile", rest_address="127.0.0.1:0")
    async with an_app(service) as fetch:
        email, phone = await _moves_in(fetch, service), MobileClient(fetch)

        await _signs_in(phone, email, service)
        await _signs_in_with_a_number(phone, await _moves_in(fetch, service, phone=NUMBER))
        await phone.login(email, PASSWORD)
        switch = {"enabled": True, "currentPassword": PASSWORD}
        assert (await fetch("POST", "/v1/factors:setEmailOtp", json=switch, headers=_bearer(phone))).is_success
        await _signs_in_with_a_code(phone, email, service)
        await _asks_for_codes_in_vain(phone, email, service)


async def _moves_in(fetch: Fetch, service: Running, **phone: str) -> str:
    """The address of a new customer, who has proven it."""
    email = new_email()
    person = {"email": email, "password": PASSWORD, "role": "customer", "firstName": "Amos", **phone}
    assert (await fetch("POST", "/v1/register", json=person)).is_success
    token = await service.mailbox.token(email)
    assert (await fetch("POST", "/v1/email:verify", json={"token": token})).is_success
    return email


async def _signs_in(phone: MobileClient, email: str, service: Running) -> None:
    assert json_of(await phone.login(email, WRONG), 401)["status"] == 401
    assert json_of(await phone.login("nobody@example.org", PASSWORD), 401)["status"] == 401
    assert json_of(await phone.login("", PASSWORD), 400)["status"] == 400

    session = json_of(await phone.login(email, PASSWORD))

    assert types_of(session).keys() == {"status", "access_token", "refresh_token", "account"}
    assert session["status"] == 200
    account = session["account"]
    _is_an_account(account)
    assert (account["email"], account["accountable_type"]) == (email, "Customer")
    assert (account["provider"], account["account_confirmed"], account["two_factor_enabled"]) == ("local", True, False)
    claims = claims_of(session["access_token"])
    assert claims == {**claims, "account_id": account["id"], "iss": "AuthService", "aud": "client"}
    assert types_of({key: claims[key] for key in ("device_id", "exp", "jti")}) == {
        "device_id": int,
        "exp": int,
        "jti": str,
    }
    assert str(UUID(claims["session_uuid"])) == claims["session_uuid"]
    assert str(UUID(account["uuid"])) == account["uuid"]
    assert (await service.get_session(phone.access_token)).account.email == email

    service.clock.advance(minutes=5)
    again = json_of(await phone.login(email, PASSWORD))["account"]
    _is_an_account(again)
    assert again["last_sign_in_at"] is not None
    assert (again["id"], again["uuid"], again["created_at"]) == tuple(
        account[key] for key in ("id", "uuid", "created_at")
    )
    assert again["sign_in_count"] == account["sign_in_count"] + 1
    await service.refresh(phone.refresh_token)


async def _signs_in_with_a_number(phone: MobileClient, email: str) -> None:
    account = json_of(await phone.login(NUMBER, PASSWORD))["account"]
    _is_an_account(account)
    assert (account["email"], account["phone"]) == (email, NUMBER)


async def _signs_in_with_a_code(phone: MobileClient, email: str, service: Running) -> None:
    json_of(await phone.login(email, WRONG), 401)
    waiting = json_of(await phone.login(email, PASSWORD))
    assert types_of(waiting) == {"status": int, "message": str, "two_factor_required": bool}
    assert (waiting["status"], waiting["two_factor_required"]) == (200, True)
    first = await service.mailbox.alone(email, CODE)
    assert json_of(await phone.request_otp(email), 201) == SENT
    service.clock.advance(seconds=61)
    assert json_of(await phone.request_otp(email), 201) == SENT
    code = await service.mailbox.alone(email, CODE, 2)
    assert len(_codes_of(service, email)) == 2

    wrong = next(other for other in ("000000", "111111", "222222") if other not in (first, code))
    assert json_of(await phone.verify(email, PASSWORD, "12345"), 400)["status"] == 400
    assert json_of(await phone.verify(email, PASSWORD, wrong), 401)["status"] == 401
    assert json_of(await phone.verify(email, WRONG, code), 401)["status"] == 401
    assert json_of(await phone.verify("nobody@example.org", PASSWORD, code), 401)["status"] == 401

    session = json_of(await phone.verify(email, PASSWORD, code))

    assert session.keys() == {"status", "access_token", "refresh_token", "account"}
    assert session["status"] == 200
    _is_an_account(session["account"])
    assert (session["account"]["email"], session["account"]["two_factor_enabled"]) == (email, True)
    assert claims_of(session["access_token"])["account_id"] == session["account"]["id"]
    assert (await service.get_session(phone.access_token)).account.email == email
    json_of(await phone.verify(email, PASSWORD, code), 401)


async def _asks_for_codes_in_vain(phone: MobileClient, email: str, service: Running) -> None:
    service.clock.advance(minutes=30)
    sent = len(_codes_of(service, email))
    for identifier in (email, NUMBER, "nobody@example.org", ""):
        assert json_of(await phone.request_otp(identifier), 201) == SENT
    await service.mails_sent()
    assert len(_codes_of(service, email)) == sent


def _codes_of(service: Running, email: str) -> list[str]:
    """The codes that have been mailed to somebody."""
    return [line for mail in service.mailbox.of(email) for line in lines_of(mail) if re.fullmatch(CODE, line)]


def _bearer(phone: MobileClient) -> dict[str, str]:
    return {"authorization": f"Bearer {phone.access_token}"}


def _is_an_account(account: dict[str, Any]) -> None:
    """Compares an account with the documented one, field by field."""
    assert account.keys() == ACCOUNT.keys()
    found = types_of(account)
    for field, documented in ACCOUNT.items():
        allowed = {documented, str} if field in SIGN_INS | {"phone"} else {documented}
        assert found[field] in allowed, f"{field}: {account[field]!r}"
    for field in account:
        if field.endswith("_at") and account[field] is not None:
            assert MOMENT.fullmatch(account[field]), f"{field}: {account[field]}"
