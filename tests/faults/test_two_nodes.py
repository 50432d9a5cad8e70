"""F-20: two nodes are one deployment. Budgets, codes and links are theirs together; no call needs a certain node."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any

import pyotp
from tests.company import Person, accept, company, invited
from tests.faults.conftest import Nodes
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    WRONG_PASSWORD,
    Client,
    coming_from,
    new_email,
    outcome,
    outcomes,
    refused,
)
from tests.second_factor import challenged, enrolled, verify

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors


@asynccontextmanager
async def connections(nodes: Nodes, number: int) -> AsyncIterator[list[Client]]:
    """Clients with a connection each, every other one to the other node."""
    async with nodes.one.clients(number // 2) as one, nodes.two.clients(number // 2) as two:
        yield [client for pair in zip(one, two, strict=True) for client in pair]


async def test_F_20_LG_02_guesses_on_two_nodes_share_one_budget(nodes: Nodes) -> None:
    """Of thirty-six at once five are looked at; the right password waits on both nodes, and opens both afterwards."""
    email = await nodes.one.verified()
    async with connections(nodes, 12) as clients:
        answers, refusals = await outcomes(clients[n % 12].login(email, WRONG_PASSWORD) for n in range(36))
    assert (answers, {refusal.reason for refusal in refusals}) == ([], {"INVALID_CREDENTIALS"})
    assert nodes.one.events("sign_in_failed", email) == 5
    for node in (nodes.one, nodes.two):
        assert (await refused(node.login(email))).reason == "INVALID_CREDENTIALS"
    nodes.one.clock.advance(seconds=1)
    for node in (nodes.two, nodes.one):
        await node.login(email)


async def test_F_20_LG_04_a_source_has_one_budget(nodes: Nodes) -> None:
    """The hundred failures are one node's and the other's, and both turn the source away."""
    email, source = await nodes.one.verified(), coming_from("203.0.113.77")
    await refused(nodes.one.login(new_email(), WRONG_PASSWORD, metadata=source))
    nodes.one.set_failures("source", "203.0.113.77", 90, minutes=15)
    async with connections(nodes, 4) as clients:
        calls = (clients[n % 4].login(new_email(), WRONG_PASSWORD, metadata=source) for n in range(20))
        _, refusals = await outcomes(calls)
    assert Counter(refusal.reason for refusal in refusals) == {"INVALID_CREDENTIALS": 10, "RATE_LIMITED": 10}
    for node in (nodes.one, nodes.two):
        assert (await refused(node.login(email, metadata=source))).reason == "RATE_LIMITED"
        await node.login(email)


async def test_F_20_OT_02_a_code_works_once_on_either_node(nodes: Nodes) -> None:
    """Of sixteen that send one code at once to both nodes one gets in; no older code works on either afterwards."""
    person = await enrolled(nodes.one)
    nodes.one.clock.advance(minutes=5)
    tokens = [await challenged(node, person.email) for node in (nodes.one, nodes.two)]
    code, older = person.code(nodes.one), person.code(nodes.one, -1)
    async with connections(nodes, 4) as clients:
        calls = (clients[n % 4].auth.VerifyOtp(verify(tokens[n // 2 % 2], totp=code)) for n in range(16))
        answers, _ = await outcomes(calls)
    assert len(answers) == 1
    nodes.one.clock.advance(minutes=16)
    for node in (nodes.one, nodes.two):
        token = await challenged(node, person.email)
        assert (await refused(node.auth.VerifyOtp(verify(token, totp=older)))).reason == "OTP_INVALID"


async def test_F_20_OT_05_guesses_of_codes_share_one_budget(nodes: Nodes) -> None:
    """Five for all sign-ins on both nodes together; then the right code waits on both."""
    person = await enrolled(nodes.one)
    nodes.one.clock.advance(minutes=5)
    tokens = [await challenged(node, person.email) for node in (nodes.one, nodes.two) * 2]
    right = person.code(nodes.one)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    async with connections(nodes, 4) as clients:
        calls = (clients[n % 4].auth.VerifyOtp(verify(tokens[n // 4], totp=wrong)) for n in range(16))
        _, refusals = await outcomes(calls)
    assert [refusal.reason for refusal in refusals] == ["OTP_INVALID"] * 16
    for node, token in zip((nodes.two, nodes.one), tokens, strict=False):
        assert (await refused(node.auth.VerifyOtp(verify(token, totp=right)))).reason == "OTP_INVALID"
    nodes.one.clock.advance(minutes=5)
    await nodes.two.auth.VerifyOtp(verify(tokens[2], totp=person.code(nodes.one)))


async def test_F_20_RC_03_an_address_gets_one_mail_from_both(nodes: Nodes) -> None:
    email = await nodes.one.verified()
    nodes.one.clock.advance(minutes=2)
    request = auth.RequestPasswordResetRequest(identifier=email, locale="en")
    async with connections(nodes, 4) as clients:
        await asyncio.gather(*(client.auth.RequestPasswordReset(request) for client in clients))
    await nodes.one.mails_sent()
    await nodes.two.mails_sent()
    assert nodes.one.events("password_reset_sent", email) == 1
    assert [mail["Subject"] for mail in nodes.one.mailbox.of(email)].count("Choose a new password") == 1


async def test_F_20_RC_01_a_link_is_used_up_on_both(nodes: Nodes) -> None:
    """Eight who come with one link, each with another password: one sets theirs."""
    email = await nodes.one.verified()
    token = await nodes.one.reset_token(email)
    passwords = [f"the password of visitor {n} by mail" for n in range(8)]
    async with connections(nodes, 8) as clients:
        results = [outcome(clients[n].reset(token, passwords[n])) for n in range(8)]
        winners = [n for n, result in enumerate(await asyncio.gather(*results)) if result is None]
    assert len(winners) == 1
    await nodes.two.login(email, passwords[winners[0]])
    assert nodes.one.events("password_reset", email) == 1


async def test_F_20_every_step_of_every_road_may_be_on_another_node(nodes: Nodes) -> None:
    """Nothing that a road needs is in the memory of the process where it began."""
    turns = cycle((nodes.two, nodes.one))

    def turn() -> Any:
        return next(turns)

    owner = await company(turn())
    email, token = await invited(turn(), owner)
    person = Person(email, (await turn().invites.AcceptInvite(accept(token))).session)
    begin = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD)
    begun = await turn().factors.BeginTotpEnrollment(begin, metadata=person.metadata)
    app = pyotp.TOTP(begun.secret)
    confirm = factors.ConfirmTotpEnrollmentRequest(
        enrollment_token=begun.enrollment_token, code=app.at(nodes.one.clock.now)
    )
    await turn().factors.ConfirmTotpEnrollment(confirm, metadata=person.metadata)
    nodes.one.clock.advance(minutes=1)
    challenge = await challenged(turn(), email)
    signed_in = await turn().auth.VerifyOtp(verify(challenge, totp=app.at(nodes.one.clock.now)))
    tokens = signed_in.session.tokens
    for _ in range(3):
        tokens = (await turn().refresh(tokens.refresh_token)).tokens
        assert (await turn().get_session(tokens.access_token)).account.email == email
    reset = await nodes.one.reset_token(email)
    assert (await turn().auth.ValidatePasswordReset(auth.ValidatePasswordResetRequest(token=reset))).valid
    await turn().reset(reset, OTHER_PASSWORD)
    assert (await refused(turn().refresh(tokens.refresh_token))).reason == "SESSION_REVOKED"
    nodes.one.clock.advance(minutes=1)
    answer = await turn().auth.Login(auth.LoginRequest(identifier=email, password=OTHER_PASSWORD))
    code = app.at(nodes.one.clock.now)
    await turn().auth.VerifyOtp(verify(answer.mfa_challenge.challenge_token, totp=code))
