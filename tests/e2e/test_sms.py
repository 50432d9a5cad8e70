"""Codes by SMS, for people with a phone number and no e-mail address."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from tests.conftest import Launch
from tests.mail.gateway import Gateway, running_gateway, says_nothing
from tests.running import PASSWORD, Running, new_email, refused

from identity.domain.mails import Channel
from identity.mail.sms import SmsUrlInvalid
from identity.server import Service
from identity.settings import load_settings
from identity.store.tables import outbox
from identity_pb.v1 import auth_service_pb2 as pb
from identity_pb.v1 import resources_pb2 as resources

PHONE, OTHER_PHONE = "+33612345678", "+32470123456"
TEXT = {
    "en": "is your security code for Identity",
    "fr": "est votre code de sécurité Identity",
    "nl": "is uw beveiligingscode voor Identity",
}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running_gateway(Gateway()) as gateway:
        yield gateway


@pytest_asyncio.fixture
async def service(launch: Launch, gateway: Gateway) -> AsyncIterator[Running]:
    """A service whose people must have a second factor, and whose short messages arrive at the gateway."""
    yield await launch(sms_url=gateway.url, policy={"roles": {"user": {"requires_mfa": True}}})


async def registered(service: Running, phone: str = PHONE, **fields: Any) -> None:
    await service.auth.Register(pb.RegisterRequest(phone=phone, password=PASSWORD, **fields))


async def challenged(service: Running, identifier: str = PHONE) -> resources.MfaChallenge:
    answer = await service.auth.Login(pb.LoginRequest(identifier=identifier, password=PASSWORD))
    assert answer.WhichOneof("result") == "mfa_challenge"
    challenge = answer.mfa_challenge
    assert isinstance(challenge, resources.MfaChallenge)
    return challenge


async def verify(service: Running, challenge: resources.MfaChallenge, code: str) -> pb.VerifyOtpResponse:
    request = pb.VerifyOtpRequest(challenge_token=challenge.challenge_token, email_code=code)
    answer = await service.auth.VerifyOtp(request)
    assert isinstance(answer, pb.VerifyOtpResponse)
    return answer


async def resend(service: Running, challenge: resources.MfaChallenge, **fields: Any) -> None:
    await service.auth.SendOtp(pb.SendOtpRequest(challenge_token=challenge.challenge_token, **fields))


def code_of(message: dict[str, str]) -> str:
    found = re.match(r"([0-9]{6}) ", message["text"])
    assert found is not None
    return found[1]


async def put_off(service: Running, gateway: Gateway) -> dict[str, str]:
    """The first message to the phone, once the busy gateway's answer to it is noted; then time goes on."""
    message = await gateway.wait(PHONE)
    async with asyncio.timeout(20):
        while not service.rows(select(outbox).where(outbox.c.recipient == PHONE, outbox.c.error.is_not(None))):
            await asyncio.sleep(0.01)  # nothing outside the service hears of it
    gateway.status = 202
    service.clock.advance(seconds=10)
    service.service.dispatcher.wake(Channel.SMS)
    return message


async def everything_sent(service: Running, gateway: Gateway) -> None:
    """Returns when every message that was queued before has been dealt with."""
    if not gateway.of(OTHER_PHONE):
        await registered(service, OTHER_PHONE)
    service.clock.advance(minutes=2)
    count = len(gateway.of(OTHER_PHONE))
    await challenged(service, OTHER_PHONE)
    await gateway.wait(OTHER_PHONE, count + 1)


def test_a_gateway_that_others_could_listen_to_is_refused_at_the_start(tmp_path: Any) -> None:
    """Codes and the gateway's secret never leave the machine in the open."""
    settings = load_settings(data_dir=tmp_path, sms_url="http://hunter2@sms.example/")
    with pytest.raises(SmsUrlInvalid, match="Write https://"):
        Service(settings)


async def test_OT_04_a_wrong_code_a_used_code_and_one_of_another_sign_in_are_refused(
    service: Running, gateway: Gateway
) -> None:
    """The code is bound to its challenge and works once."""
    await registered(service)
    first = await challenged(service)
    code = code_of(await gateway.wait(PHONE))
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert (await refused(verify(service, first, wrong))).reason == "OTP_INVALID"
    second = await challenged(service)
    assert (await refused(verify(service, second, code))).reason == "OTP_INVALID"
    await verify(service, first, code)
    assert (await refused(verify(service, first, code))).reason == "TOKEN_INVALID"


async def test_OT_04_a_code_lives_ten_minutes(service: Running, gateway: Gateway) -> None:
    """A second before its end it works, at its end no more."""
    await registered(service)
    for seconds, reason in ((600, "TOKEN_EXPIRED"), (599, None)):
        service.clock.advance(minutes=2)
        count = len(gateway.of(PHONE))
        challenge = await challenged(service)
        code = code_of(await gateway.wait(PHONE, count + 1))
        service.clock.advance(seconds=seconds)
        if reason:
            assert (await refused(verify(service, challenge, code))).reason == reason
        else:
            await verify(service, challenge, code)


async def test_LG_07_a_phone_is_challenged_and_signs_in_with_the_code_it_got(
    service: Running, gateway: Gateway
) -> None:
    """The challenge offers the mailed code, which is what stands for an SMS in the contract, and says it is sent."""
    await registered(service)
    challenge = await challenged(service)
    assert list(challenge.factors) == [resources.FACTOR_TYPE_EMAIL_OTP]
    assert challenge.code_sent
    message = await gateway.wait(PHONE)
    assert set(message) == {"to", "text", "id"}
    answer = await verify(service, challenge, code_of(message))
    assert list(answer.session.session.amr) == ["pwd", "email"]
    assert (await service.get_session(answer.session.tokens.access_token)).account.phone == PHONE


async def test_RC_03_one_message_in_sixty_seconds_and_the_older_code_dies(service: Running, gateway: Gateway) -> None:
    """Asking again at once sends nothing; a minute later a new code replaces the old one."""
    await registered(service)
    challenge = await challenged(service)
    old = code_of(await gateway.wait(PHONE))
    service.clock.advance(seconds=59)
    await resend(service, challenge)
    assert not (await challenged(service)).code_sent
    service.clock.advance(seconds=1)
    await resend(service, challenge)
    new = code_of(await gateway.wait(PHONE, 2))
    assert len(gateway.of(PHONE)) == 2
    assert old == new or (await refused(verify(service, challenge, old))).reason == "OTP_INVALID"
    await verify(service, challenge, new)


async def test_who_has_an_address_gets_mail_and_no_message(service: Running, gateway: Gateway) -> None:
    """The number of somebody with an e-mail address is not written to."""
    email = await service.verified(new_email(), phone=PHONE)
    challenge = await challenged(service, PHONE)
    code = await service.mailbox.alone(email, "[0-9]{6}")
    await everything_sent(service, gateway)
    assert gateway.of(PHONE) == []
    await verify(service, challenge, code)


async def test_Z_12_nothing_is_sent_for_an_address_that_is_not_on_file(service: Running, gateway: Gateway) -> None:
    """A client that names an address gets nothing sent to a number instead."""
    await registered(service)
    challenge = await challenged(service)
    await gateway.wait(PHONE)
    service.clock.advance(minutes=2)
    await resend(service, challenge, email=new_email())
    await everything_sent(service, gateway)
    assert len(gateway.of(PHONE)) == 1


@pytest.mark.parametrize("locale", ["en", "fr", "nl"])
async def test_the_message_is_in_the_language_of_the_account_or_of_the_request(
    service: Running, gateway: Gateway, locale: str
) -> None:
    """A message speaks the account's language, unless asked for in another."""
    await registered(service, locale=locale)
    challenge = await challenged(service)
    assert TEXT[locale] in (await gateway.wait(PHONE))["text"]
    service.clock.advance(minutes=1)
    await resend(service, challenge, locale="nl")
    assert TEXT["nl"] in (await gateway.wait(PHONE, 2))["text"]


async def test_F_12_a_code_survives_an_outage_of_the_gateway(service: Running, gateway: Gateway) -> None:
    """What the gateway puts off arrives once it works again, with the id it had."""
    await registered(service)
    gateway.status = 503
    challenge = await challenged(service)
    first = await put_off(service, gateway)
    assert await gateway.wait(PHONE, 2) == first
    await verify(service, challenge, code_of(first))


async def test_F_12_a_gateway_that_says_nothing_holds_no_mail_up(service: Running, gateway: Gateway) -> None:
    """While a message waits for its answer, mails arrive."""
    gateway.misbehave = says_nothing
    await registered(service)
    await challenged(service)
    await gateway.wait(PHONE)
    await service.mailbox.wait(await service.registered())
    gateway.released.set()


async def test_RC_01_no_code_is_at_rest_in_the_open(service: Running, gateway: Gateway) -> None:
    """The row of a message holds its code encrypted, and nothing of it once it is sent."""
    await registered(service)
    gateway.status = 503
    await challenged(service)
    (waiting,) = service.rows(select(outbox).where(outbox.c.recipient == PHONE))
    code = code_of(await put_off(service, gateway))
    assert waiting.sealed
    assert code.encode() not in waiting.sealed
    await everything_sent(service, gateway)
    (sent,) = service.rows(select(outbox).where(outbox.c.recipient == PHONE))
    assert (sent.status, sent.sealed) == ("sent", b"")
