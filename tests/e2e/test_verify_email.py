"""VerifyEmail and ResendVerification: an address is proven by whoever reads its mail, once and in time."""

from __future__ import annotations

import grpc
import pytest
from tests.running import PASSWORD, Running, new_email, outcome, outcomes, refused

from identity_pb.v1 import auth_service_pb2 as pb


async def verify(service: Running, token: str) -> pb.VerifyEmailResponse:
    answer = await service.auth.VerifyEmail(pb.VerifyEmailRequest(token=token))
    assert isinstance(answer, pb.VerifyEmailResponse)
    return answer


async def resend(service: Running, email: str) -> pb.ResendVerificationResponse:
    answer = await service.auth.ResendVerification(pb.ResendVerificationRequest(email=email))
    assert isinstance(answer, pb.ResendVerificationResponse)
    return answer


async def mailed(service: Running, email: str | None = None) -> str:
    """The token of a new account's first mail."""
    return await service.mailbox.token(await service.registered(email))


async def test_RC_01_an_unknown_token_proves_nothing(service: Running) -> None:
    """Nonsense, a token of another kind and every corruption of a real one are equally unknown."""
    real = await mailed(service)
    reset = await service.reset_token(await service.verified())
    changed = [real[:-1], real + "A", real.swapcase(), "A" + real[1:] if real[0] != "A" else "B" + real[1:], f" {real}"]
    refusals = [await refused(verify(service, token)) for token in ("nonsense", reset, *changed)]
    assert (refusals[0].code, refusals[0].reason) == (grpc.StatusCode.NOT_FOUND, "LINK_NOT_FOUND")
    assert len({refusal.on_the_wire for refusal in refusals}) == 1
    await verify(service, real)


async def test_N_07_a_token_works_once(service: Running) -> None:
    """The second use is told to be one; it changes nothing."""
    token = await mailed(service)
    first = await verify(service, token)
    service.clock.advance(hours=1)
    refusal = await refused(verify(service, token))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LINK_USED")
    proven_at = service.account(first.email).email_verified_at
    assert proven_at is not None and first.verified_at.ToDatetime(proven_at.tzinfo) == proven_at


async def test_RC_01_thirty_two_uses_at_once_have_one_effect(service: Running) -> None:
    """Of uses at the same time one proves the address, and the others are told that the link was used."""
    email = await service.registered()
    token = await service.mailbox.token(email)
    async with service.clients(8) as clients:
        request = pb.VerifyEmailRequest(token=token)
        answers, refusals = await outcomes(clients[n % 8].auth.VerifyEmail(request) for n in range(32))
    assert len(answers) == 1
    assert {refusal.reason for refusal in refusals} == {"LINK_USED"}
    assert service.events("email_verified", email) == 1


@pytest.mark.parametrize(("seconds", "reason"), [(-1, None), (0, "LINK_EXPIRED"), (1, "LINK_EXPIRED")])
async def test_RC_02_a_link_lives_for_a_day(service: Running, seconds: int, reason: str | None) -> None:
    """To the second: one before 24 hours it works, at 24 hours it does not, swept away or not."""
    token = await mailed(service)
    service.clock.advance(hours=24, seconds=seconds)
    assert getattr(await outcome(verify(service, token)), "reason", None) == reason


async def test_RC_01_a_newer_link_ends_the_older_one(service: Running) -> None:
    """After another mail only its link works."""
    email = await service.registered()
    old = await service.mailbox.token(email)
    service.clock.advance(minutes=2)
    await resend(service, email)
    new = await service.mailbox.token(email, 2)
    assert (await refused(verify(service, old))).reason == "LINK_USED"
    await verify(service, new)
    await service.login(email)


async def test_RC_03_a_hundred_wishes_are_one_mail(service: Running) -> None:
    """Within a minute an address gets one mail, whatever its spelling; the answers do not tell."""
    email = await service.registered()
    service.clock.advance(seconds=60)
    for n in range(100):
        await resend(service, email if n % 2 else email.upper())
    await service.mails_sent()
    assert service.mailbox.count(email) == 2


async def test_RC_03_the_first_mail_counts(service: Running) -> None:
    """A wish less than a minute after registering sends nothing, one after it does."""
    email = await service.registered()
    service.clock.advance(seconds=59)
    await resend(service, email)
    service.clock.advance(seconds=1)
    await resend(service, email)
    await service.mailbox.wait(email, 2)
    await service.mails_sent()
    assert service.mailbox.count(email) == 2


async def test_RC_03_unknown_and_proven_addresses_get_no_mail(service: Running) -> None:
    """The answer is the same empty one, and nobody is written to."""
    proven, unknown = await service.verified(), new_email()
    service.clock.advance(minutes=2)
    assert await resend(service, proven) == await resend(service, unknown) == pb.ResendVerificationResponse()
    await service.mails_sent()
    assert (service.mailbox.count(proven), service.mailbox.count(unknown)) == (1, 0)


async def test_RC_03_a_source_gets_twenty_mails_an_hour(service: Running) -> None:
    """The twenty-first wish of a network within an hour is dropped without a word; another network's is not."""
    people = [await service.registered() for _ in range(22)]
    service.clock.advance(minutes=2)
    for n, email in enumerate(people):
        source = f"2001:db8:3:{3 + n // 21}::{n:x}"
        await service.auth.ResendVerification(
            pb.ResendVerificationRequest(email=email), metadata=(("x-client-ip", source),)
        )
    await service.mails_sent()
    assert [service.mailbox.count(email) for email in people] == [2] * 20 + [1, 2]


async def test_RC_01_proving_does_not_sign_in(service: Running) -> None:
    """The answer names the address and the time, and holds no token."""
    email = await service.registered()
    answer = await verify(service, await service.mailbox.token(email))
    assert answer.email == email
    assert {field.name for field in answer.DESCRIPTOR.fields} == {"email", "verified_at"}
    await service.login(email, PASSWORD)
