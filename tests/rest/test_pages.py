"""The pages of the mails: what a look does, what a button does, and what people are told when it goes wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update
from tests.rest.sheet import Sheet, visit
from tests.rest.web import Web
from tests.running import OTHER_PASSWORD, PASSWORD, Running, new_email, refused

from identity.domain.notices import queue_unlock
from identity.store.tables import accounts
from identity_pb.v1 import auth_service_pb2 as auth

MAILED = ("/verify-email", "/reset-password", "/accept-invite", "/unlock-account")


async def test_proving_an_address(web: Web) -> None:
    email = await web.service.registered()
    token = await web.service.mailbox.token(email)

    done = await (await page(web, "/verify-email")).send(token=f" {token}\n")

    assert (done.status, done.heading, done.alerts) == (200, "Your e‑mail address is confirmed", [])
    assert f"{email} is now known to be yours." in done.text
    await web.service.login(email)


async def test_a_link_that_was_used_says_that_all_may_be_well_and_offers_a_new_mail(web: Web) -> None:
    email = await web.service.registered()
    form = await page(web, "/verify-email")
    token = await web.service.mailbox.token(email)
    await form.send(token=token)

    again = await form.send(token=token)

    assert again.status == 400
    assert again.title == "Error: Confirm your e‑mail address · Identity"
    assert "used already" in again.faults["token"]
    assert again.alerts == [again.faults["token"]]
    assert "token" in again.visible


@pytest.mark.parametrize("path", MAILED)
async def test_an_unknown_or_missing_code_is_told_at_its_field(web: Web, path: str) -> None:
    form = await page(web, path)
    more = {"new_password": PASSWORD} if "new_password" in form.form.fields else {}

    unknown = await form.send(token="no-such-code", **more)
    missing = await form.send(token="  ", **more)

    assert (unknown.status, missing.status) == (404, 400)
    assert "not known" in unknown.faults["token"]
    assert unknown.form.fields["token"] == "no-such-code"
    assert missing.faults == {"token": "Enter the code as it stands in the mail."}


async def test_a_new_verification_mail_is_sent_from_the_page_and_nothing_is_told(web: Web) -> None:
    email, stranger = await web.service.registered(), new_email()
    web.service.clock.advance(minutes=2)
    form = await page(web, "/verify-email?lang=fr")

    known, unknown = [await form.send("send", email=address) for address in (email, stranger)]

    assert known.text.replace(email, "") == unknown.text.replace(stranger, "")
    mail = await web.service.mailbox.wait(email, 2)
    assert mail["Subject"] == "Confirmez votre adresse e-mail"
    invalid = await form.send("send", email="nobody")
    assert (invalid.status, list(invalid.faults)) == (400, ["email"])
    assert invalid.forms[1].fields["email"] == "nobody"


async def test_a_new_password_by_mail(web: Web) -> None:
    """A password that is refused keeps the link, and the form keeps the code; everything ends with the right one."""
    email = await web.service.verified()
    session = await web.service.login(email)
    web.service.clock.advance(minutes=2)
    form = await page(web, "/reset-password")
    sent = await form.send("send", email=email)
    assert (sent.status, sent.heading) == (200, "Look into your mailbox")
    token = await web.service.mailbox.token(email, subject="Choose a new password")

    short = await form.send(token=token, new_password="short")

    assert short.status == 400
    assert "at least 15 characters" in short.faults["new_password"]
    assert short.form.fields == {"token": token, "new_password": ""}
    assert "token" not in short.visible
    same = await short.send(new_password=PASSWORD)
    assert "present password" in same.faults["new_password"]

    done = await same.send(new_password=OTHER_PASSWORD)

    assert (done.status, done.heading, done.forms) == (200, "Your new password is set", [])
    await web.service.login(email, OTHER_PASSWORD)
    gone = await refused(web.service.get_session(session.tokens.access_token))
    assert gone.reason == "SESSION_REVOKED"


async def test_an_old_link_opens_the_form_for_a_new_mail(web: Web) -> None:
    token = await web.service.reset_token(await web.service.verified())
    web.service.clock.advance(timedelta(hours=1))

    late = await (await page(web, "/reset-password")).send(token=token, new_password=OTHER_PASSWORD)

    assert late.faults == {"token": "The link is too old. You need a new mail."}
    assert "<details open>" in late.answer.text


async def test_opening_a_locked_account(web: Web) -> None:
    email, token = await locked(web.service)
    no = await refused(web.service.login(email))
    assert no.reason == "ACCOUNT_LOCKED"

    done = await (await page(web, "/unlock-account")).send(token=token)

    assert (done.status, done.heading) == (200, "Your account is open again")
    assert "reset-password" in done.links
    await web.service.login(email)


async def test_RC_06_looking_at_a_page_uses_nothing_up_whatever_stands_in_its_address(web: Web) -> None:
    """Scanners open links, and some clients put the fragment into the query."""
    email = await web.service.registered()
    token = await web.service.mailbox.token(email)

    for path in MAILED:
        assert (await page(web, f"{path}?token={token}&do=send&email={email}")).status == 200
        assert (await web.client.head(f"{path}?token={token}")).status_code == 200

    assert web.service.mailbox.count(email) == 1
    await web.service.auth.VerifyEmail(auth.VerifyEmailRequest(token=token))


async def page(web: Web, path: str) -> Sheet:
    return await visit(web.client, path)


async def locked(service: Running) -> tuple[str, str]:
    """Somebody whose account is locked, as after a hundred wrong passwords, and the token of the mail about it."""
    email = await service.verified()
    account = service.account(email)
    service.execute(update(accounts).where(accounts.c.id == account.id).values(status="locked"))
    service.world.database.write(lambda tx: queue_unlock(service.world, tx, account, service.clock.now))
    return email, await service.mailbox.token(email, subject="Your account is locked")
