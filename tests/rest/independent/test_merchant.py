"""The merchant's document from top to bottom, by a dashboard and an app that were written from it alone.

Where the document asks for something unsafe they see this instead: a reset token only ever comes by mail (Z-02), codes
go to the address on file (Z-12), at most one in a minute (RC-03) and none beside an authenticator app (Z-14), the
cookie alone lets `/auth/otp` in (Z-13), only managers, associations and users register themselves (Z-15), and signing
out ends the session on the server too (Z-17).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import grpc
import pyotp
from tests.clock import ManualClock
from tests.conftest import Launch
from tests.mailbox import lines_of, secrets_of
from tests.rest.independent.merchant_client import MerchantClient
from tests.rest.independent.senders import Browser, Fetch, a_browser, an_app, claims_of, json_of
from tests.running import Running, bearer, new_email, refused

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites

PASSWORD, OTHER, WRONG = "Zeven-lantaarns-7", "Acht-lantaarns-8", "Negen-lantaarns-9"
WITHOUT_COMPOSITION = ("zeven-lantaarns-7", "ZEVEN-LANTAARNS-7", "Zeven-lantaarns", "Zevenlantaarns7", "Ze-7en!")
CODE = r"\d{6}"


async def test_a_front_end_written_from_the_document_works_with_the_merchant_dialect(launch: Launch) -> None:
    service = await launch(preset="merchant", rest_address="127.0.0.1:0", clock=ManualClock(datetime.now(UTC)))
    async with a_browser(service) as browser, an_app(service) as fetch:
        dashboard = MerchantClient(browser.fetch)
        app = MerchantClient(fetch, "application")
        admin, manager, user, association = new_email(), new_email(), new_email(), new_email()
        await service.auth.Setup(auth.SetupRequest(email=admin, password=PASSWORD, tenant_name="Plateforme"))

        await _register(dashboard, manager, user, association, service)
        await _passes_with_a_mailed_code(dashboard, browser, manager, service)
        await _signs_in_without_codes(app, user, association, service)
        await _two_people_share_a_browser(browser, fetch, manager, association, service)
        await _invited_colleagues_need_codes(dashboard, admin, service)
        await _forgets_the_password(app, association, service)
        await _passes_with_an_authenticator_app(dashboard, association, service)
        await _administrators_get_no_reset(app, admin, service)


def done(answer: Any) -> Any:
    """The body of an answer that says that all went well, in the envelope of the document."""
    body = json_of(answer)
    assert (body["success"], body["status"]) == (True, 200)
    return body


def failed(answer: Any, status: int) -> None:
    """Checks a refusal: the document's envelope, with the status of the answer in it."""
    body = json_of(answer, status)
    assert (body["success"], body["status"]) == (False, status)


async def _register(dashboard: MerchantClient, manager: str, user: str, association: str, service: Running) -> None:
    person = {"email": manager, "password": PASSWORD, "firstName": "Marie", "lastName": "Curie"}
    company = {"role": "Manager", "companyName": "Radium SARL"}
    contact = {"origin": "dashboard", "phoneNumber": "06 12 34 56 78", "phoneNumberCountry": "FR"}
    whole = {**person, **company}
    for password in WITHOUT_COMPOSITION:
        failed(await dashboard.register(**{**whole, "password": password}), 400)
    for missing in whole:
        failed(await dashboard.register(**{key: whole[key] for key in whole if key != missing}), 400)
    failed(await dashboard.register(**{**person, "role": "Association"}), 400)
    failed(await dashboard.register(**{**whole, "email": "marie"}), 400)
    failed(await dashboard.register(**{**whole, "phoneNumber": "06 12 34 56 78", "phoneNumberCountry": "France"}), 400)
    for role in ("SuperManager", "SuperAdmin", "Cashier", "Observer", "Emperor"):
        failed(await dashboard.register(**{**whole, "role": role}), 400)

    done(await dashboard.register("fr", **whole, **contact))
    done(await dashboard.register("nl", **{**person, "email": user, "role": "User", "origin": "website"}))
    of_association = {"email": association, "role": "Association", "associationName": "Les Lanternes"}
    done(await dashboard.register(**{**person, **of_association}))

    subjects = [(await service.mailbox.wait(email))["Subject"] for email in (manager, user, association)]
    assert len(set(subjects)) == 3
    token = await service.mailbox.token(manager)
    await service.auth.VerifyEmail(auth.VerifyEmailRequest(token=token))
    service.clock.advance(minutes=2)
    done(await dashboard.register("fr", **whole))
    await service.mailbox.wait(manager, 2)


async def _passes_with_a_mailed_code(
    dashboard: MerchantClient, browser: Browser, manager: str, service: Running
) -> None:
    failed(await dashboard.login(manager, WRONG), 401)
    failed(await dashboard.login("nobody@example.org", PASSWORD), 401)
    failed(await dashboard.otp(emailOtp="123456"), 401)
    assert "otpValidationToken" not in browser.cookies

    waiting = done(await dashboard.login(manager, PASSWORD))
    assert (waiting["token"], waiting["data"]["token"]) == (None, None)
    assert browser.cookies.get("otpValidationToken")
    first = await service.mailbox.alone(manager, CODE)
    service.clock.advance(seconds=61)
    done(await dashboard.send_otp("somebody.else@example.org"))
    done(await dashboard.send_otp(manager))
    code = await service.mailbox.alone(manager, CODE, 2)
    assert service.mailbox.count("somebody.else@example.org") == 0
    failed(await dashboard.otp(), 400)
    failed(await dashboard.otp(emailOtp="12345"), 400)
    wrong = next(other for other in ("000000", "111111", "222222") if other not in (first, code))
    failed(await dashboard.otp(emailOtp=wrong), 401)

    passed = done(await dashboard.otp(emailOtp=code))

    assert isinstance(passed["data"]["token"], str)
    assert claims_of(passed["data"]["token"])["sub"] == dashboard.user_id
    assert "otpValidationToken" not in browser.cookies
    failed(await dashboard.otp(emailOtp=code), 401)

    service.clock.advance(minutes=5)
    before_refresh = dashboard.token
    renewed = done(await dashboard.refresh())
    assert claims_of(renewed["data"]["token"])["sub"] == dashboard.user_id
    assert renewed["data"]["token"] != before_refresh
    assert (await service.get_session(renewed["data"]["token"])).account.email == manager
    done(await dashboard.sign_out())
    done(await dashboard.sign_out())
    await _is_over(service, renewed["data"]["token"])
    failed(await dashboard.refresh(), 401)


async def _signs_in_without_codes(app: MerchantClient, user: str, association: str, service: Running) -> None:
    failed(await MerchantClient(app.fetch, "kiosk").login(association, PASSWORD), 400)
    failed(await app.login_user(user, WRONG), 401)
    for email, login in ((user, app.login_user), (association, app.login)):
        signed_in = done(await login(email, PASSWORD))
        assert claims_of(signed_in["data"]["token"])["sub"] == signed_in["data"]["user"]["id"]
        renewed = done(await app.refresh())["data"]["token"]
        assert (await service.get_session(renewed)).account.email == email
        done(await app.sign_out())
        await _is_over(service, renewed)
        failed(await app.refresh(), 401)


async def _two_people_share_a_browser(
    browser: Browser, fetch: Fetch, manager: str, association: str, service: Running
) -> None:
    """The backoffice names the person by `x-user-id`, and each of them has a refresh cookie (Z-16)."""
    one, other = MerchantClient(browser.fetch), MerchantClient(browser.fetch)
    await _signed_in_with_code(one, manager, PASSWORD, service)
    done(await other.login(association, PASSWORD))
    assert one.user_id != other.user_id

    for person in (one, other, one):
        assert claims_of(done(await person.refresh())["data"]["token"])["sub"] == person.user_id
    done(await one.sign_out())

    failed(await one.refresh(), 401)
    done(await other.refresh())
    elsewhere = MerchantClient(fetch)
    elsewhere.user_id = other.user_id
    failed(await elsewhere.refresh(), 401)
    done(await elsewhere.sign_out())
    done(await other.refresh())


async def _invited_colleagues_need_codes(dashboard: MerchantClient, admin: str, service: Running) -> None:
    """Who may not register is invited, which the document leaves to the product's backend."""
    inviting = bearer(await _signed_in_with_code(dashboard, admin, PASSWORD, service))
    for role in ("super_manager", "cashier", "observer"):
        email = new_email()
        await service.invites.CreateInvite(
            invites.CreateInviteRequest(email=email, role=role, locale="fr"), metadata=inviting
        )
        wish = invites.AcceptInviteRequest(token=await service.mailbox.token(email), password=PASSWORD)
        await service.invites.AcceptInvite(wish)
        assert done(await dashboard.login(email, PASSWORD))["token"] is None


async def _forgets_the_password(app: MerchantClient, email: str, service: Running) -> None:
    service.clock.advance(minutes=2)
    done(await app.login(email, PASSWORD))
    signed_in = str(app.token)
    subjects, tokens = set(), []
    for lang, origin in (("en", {}), ("fr", {"origin": "website"}), ("nl", {"origin": "application"})):
        sent = service.mailbox.count(email)
        known = done(await app.send_reset(email, lang, **origin))
        tokens.append(await service.mailbox.token(email, sent + 1))
        assert tokens[-1] not in str(known)
        subjects.add(service.mailbox.of(email)[-1]["Subject"])
        service.clock.advance(minutes=2)
    assert len(subjects) == 3
    assert known == done(await app.send_reset("nobody@example.org", "nl", origin="application"))

    failed(await app.change_forgotten(tokens[-1], WITHOUT_COMPOSITION[0]), 400)
    failed(await app.change_forgotten("no-such-token", OTHER), 404)
    sent = service.mailbox.count(email)
    done(await app.change_forgotten(tokens[-1], OTHER))

    assert not secrets_of(await service.mailbox.wait(email, sent + 1))
    failed(await app.change_forgotten(tokens[-1], PASSWORD), 400)
    await _is_over(service, signed_in)
    failed(await app.login(email, PASSWORD), 401)
    done(await app.login(email, OTHER))


async def _passes_with_an_authenticator_app(dashboard: MerchantClient, email: str, service: Running) -> None:
    """The document starts where the authenticator app is known already: it is enrolled over gRPC."""
    token = done(await dashboard.login(email, OTHER))["token"]
    begin = factors.BeginTotpEnrollmentRequest(current_password=OTHER)
    begun = await service.factors.BeginTotpEnrollment(begin, metadata=bearer(token))
    codes = pyotp.TOTP(begun.secret)
    confirm = factors.ConfirmTotpEnrollmentRequest(
        enrollment_token=begun.enrollment_token, code=codes.at(service.clock.now)
    )
    await service.factors.ConfirmTotpEnrollment(confirm, metadata=bearer(token))
    service.clock.advance(minutes=2)

    assert done(await dashboard.login(email, OTHER))["token"] is None
    done(await dashboard.send_otp(email))
    failed(await dashboard.otp(otp="12345"), 400)
    failed(await dashboard.otp(otp=codes.at(service.clock.now, counter_offset=50)), 401)
    passed = done(await dashboard.otp(otp=codes.at(service.clock.now)))

    assert (await service.get_session(passed["token"])).account.email == email
    await service.mails_sent(password=PASSWORD)
    assert not _codes_of(service, email)


async def _administrators_get_no_reset(app: MerchantClient, admin: str, service: Running) -> None:
    sent = service.mailbox.count(admin)
    known, unknown = await app.send_reset(admin), await app.send_reset("nobody@example.org")
    assert done(known) == done(unknown)
    await service.mails_sent(password=PASSWORD)
    assert service.mailbox.count(admin) == sent


async def _signed_in_with_code(person: MerchantClient, email: str, password: str, service: Running) -> str:
    """The token of somebody who prefers a code by mail: the sign-in has sent one, so that asking at once sends none."""
    service.clock.advance(minutes=2)
    before = len(_codes_of(service, email))
    assert done(await person.login(email, password))["data"]["token"] is None
    done(await person.send_otp(email))
    code = await service.mailbox.alone(email, CODE, before + 1)
    return str(done(await person.otp(emailOtp=code))["data"]["token"])


async def _is_over(service: Running, token: str) -> None:
    assert (await refused(service.get_session(token))).code is grpc.StatusCode.UNAUTHENTICATED


def _codes_of(service: Running, email: str) -> list[str]:
    """The codes that have been mailed to somebody."""
    return [line for mail in service.mailbox.of(email) for line in lines_of(mail) if re.fullmatch(CODE, line)]
