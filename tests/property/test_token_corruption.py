"""P-12: whatever happens to a token on its way, it opens nothing, and is refused as if it had never been one (N-21).

Every kind of token that the service hands out, through the RPC that takes it; and each still works afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pyotp
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from hypothesis import given
from tests.company import Person, accept, company, in_two, invited, member
from tests.property.corruptions import corrupted, fits_a_header
from tests.property.exploring import Bridge, explore
from tests.running import OTHER_PASSWORD, PASSWORD, WRONG_PASSWORD, Running, bearer, refused
from tests.second_factor import challenged, enrolled

from identity.domain.password_proof import password_budget
from identity.domain.service_access import create_service_key, learn_service_keys
from identity.domain.throttles import PASSWORD_ATTEMPTS
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import session_service_pb2 as sessions

M = TypeVar("M", bound=Message)
Present = Callable[[str], Awaitable[Any]]


@dataclass(frozen=True)
class Kind:
    """A token, the call that takes it, and the reason with which every other text is refused."""

    token: str
    present: Present
    reason: str
    in_metadata: bool = False


@dataclass(frozen=True)
class Scene:
    """The owner of a company, and somebody whose password a token may change."""

    service: Running
    owner: str
    careless: str

    async def signed_in(self, email: str) -> Person:
        return Person(email, await self.service.login(email))


async def access_token(scene: Scene) -> Kind:
    token = (await scene.signed_in(scene.owner)).session.tokens.access_token
    return Kind(token, scene.service.get_session, "UNAUTHENTICATED", in_metadata=True)


async def introspected_token(scene: Scene) -> Kind:
    """A backend is told of a damaged token that it is not active, and nothing else (JW-05)."""
    token = (await scene.signed_in(scene.owner)).session.tokens.access_token
    ask, key = scene.service.sessions.IntrospectToken, bearer(service_key_of(scene.service, "introspector of damage"))

    async def introspect(token: str) -> None:
        answer = await ask(sessions.IntrospectTokenRequest(token=token), metadata=key)
        if not answer.active:
            assert answer == sessions.IntrospectTokenResponse(active=False)
            await scene.service.get_session("not active")

    return Kind(token, introspect, "UNAUTHENTICATED")


async def refresh_token(scene: Scene) -> Kind:
    token = (await scene.signed_in(scene.owner)).session.tokens.refresh_token
    return Kind(token, scene.service.refresh, "TOKEN_INVALID")


async def device_token(scene: Scene) -> Kind:
    """A known device gets in while the budget of its account is used up; a damaged token makes none known (LG-03)."""
    email = await scene.service.verified()
    token = (await scene.service.login(email)).device_token
    for _ in range(PASSWORD_ATTEMPTS.free):
        await refused(scene.service.login(email, WRONG_PASSWORD))
    return Kind(token, lambda token: scene.service.login(email, device_token=token), "INVALID_CREDENTIALS")


async def service_key(scene: Scene) -> Kind:
    ask, key = scene.service.sessions.IntrospectToken, service_key_of(scene.service, "key to damage")
    request = sessions.IntrospectTokenRequest(token="unknown")
    return Kind(key, lambda key: ask(request, metadata=bearer(key)), "UNAUTHENTICATED", in_metadata=True)


async def verification_token(scene: Scene) -> Kind:
    verify, token = scene.service.auth.VerifyEmail, await scene.service.mailbox.token(await scene.service.registered())
    return Kind(token, lambda token: verify(auth.VerifyEmailRequest(token=token)), "LINK_NOT_FOUND")


async def reset_token(scene: Scene) -> Kind:
    token = await scene.service.reset_token(scene.careless)
    return Kind(token, lambda token: scene.service.reset(token, OTHER_PASSWORD), "LINK_NOT_FOUND")


async def unlock_token(scene: Scene) -> Kind:
    service, email, unlock = scene.service, scene.careless, scene.service.auth.UnlockAccount
    key = password_budget(service.world, service.account(email).id)
    for _ in range(PASSWORD_ATTEMPTS.limit - 1):
        service.clock.advance(PASSWORD_ATTEMPTS.longest)
        now = service.clock.now
        service.world.database.write(lambda tx, now=now: tx.throttles.charge_backoff(key, PASSWORD_ATTEMPTS, now))
    service.clock.advance(PASSWORD_ATTEMPTS.longest)
    await refused(service.login(email, WRONG_PASSWORD))
    token = await service.mailbox.token(email, subject="locked")
    return Kind(token, lambda token: unlock(auth.UnlockAccountRequest(token=token)), "LINK_NOT_FOUND")


async def invite_token(scene: Scene) -> Kind:
    _, token = await invited(scene.service, await scene.signed_in(scene.owner))
    return Kind(token, lambda token: scene.service.invites.AcceptInvite(accept(token)), "INVITE_NOT_FOUND")


async def looked_at_invite(scene: Scene) -> Kind:
    look, (_, token) = (
        scene.service.invites.ValidateInvite,
        await invited(scene.service, await scene.signed_in(scene.owner)),
    )
    return Kind(token, lambda token: look(invites.ValidateInviteRequest(token=token)), "INVITE_NOT_FOUND")


async def mfa_challenge(scene: Scene) -> Kind:
    service, verify = scene.service, scene.service.auth.VerifyOtp
    person = await member(service, await scene.signed_in(scene.owner))
    app = (await enrolled(service, person.email, person.session.tokens.access_token)).app
    service.clock.advance(minutes=1)
    token = await challenged(service, person.email)
    answer = auth.VerifyOtpRequest(totp=app.at(service.clock.now))
    return Kind(
        token,
        lambda token: verify(with_token(answer, challenge_token=token)),
        "TOKEN_INVALID",
    )


async def tenant_choice(scene: Scene) -> Kind:
    service, select = scene.service, scene.service.auth.SelectTenant
    email, one, _ = await in_two(service)
    login = await service.auth.Login(auth.LoginRequest(identifier=email, password=PASSWORD))
    choice = auth.SelectTenantRequest(tenant_id=one.session.tenant.id)
    return Kind(
        login.tenant_choice.challenge_token,
        lambda token: select(with_token(choice, challenge_token=token)),
        "TOKEN_INVALID",
    )


async def enrolment_token(scene: Scene) -> Kind:
    service, confirm = scene.service, scene.service.factors.ConfirmTotpEnrollment
    bearing = (await scene.signed_in(await service.verified())).metadata
    begin = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD)
    begun = await service.factors.BeginTotpEnrollment(begin, metadata=bearing)
    first = factors.ConfirmTotpEnrollmentRequest(code=pyotp.TOTP(begun.secret).at(service.clock.now))
    return Kind(
        begun.enrollment_token,
        lambda token: confirm(with_token(first, enrollment_token=token), metadata=bearing),
        "TOKEN_INVALID",
    )


async def page_token(scene: Scene) -> Kind:
    turn, page = scene.service.accounts.ListAccounts, accounts.ListAccountsRequest(page_size=1)
    owner = await scene.signed_in(scene.owner)
    await member(scene.service, owner)
    token = (await turn(page, metadata=owner.metadata)).next_page_token
    return Kind(
        token, lambda token: turn(with_token(page, page_token=token), metadata=owner.metadata), "INVALID_REQUEST"
    )


KINDS = [
    *(
        access_token,
        introspected_token,
        refresh_token,
        device_token,
        service_key,
        verification_token,
        reset_token,
        unlock_token,
    ),
    *(invite_token, looked_at_invite, mfa_challenge, tenant_choice, enrolment_token, page_token),
]


@pytest_asyncio.fixture(scope="module")
async def scene(service: Running) -> Scene:
    return Scene(service, (await company(service)).email, await service.verified())


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
async def test_P_12_N_21_a_damaged_token_is_no_token(scene: Scene, make: Callable[[Scene], Awaitable[Kind]]) -> None:
    """One answer, to the byte, for whatever is not the token; and the token itself has not suffered."""
    kind = await make(scene)
    bridge, unknown = Bridge(), await refused(kind.present("nonsense"))
    assert unknown.reason == kind.reason

    @given(corrupted(kind.token).filter(fits_a_header) if kind.in_metadata else corrupted(kind.token))
    def is_refused(damaged: str) -> None:
        assert bridge.call(refused_with, kind.present, damaged) == unknown.on_the_wire

    await explore(is_refused, examples=10, salt=make.__name__ + scene.service.world.database.dialect)
    answer = await kind.present(kind.token)
    assert make is not service_key or not answer.active


async def refused_with(present: Present, token: str) -> tuple[object, ...]:
    return (await refused(present(token))).on_the_wire


def with_token(request: M, **token: str) -> M:
    """The same request with a token in it."""
    whole = type(request)(**token)
    whole.MergeFrom(request)
    return whole


def service_key_of(service: Running, name: str) -> str:
    key = create_service_key(service.world, name, ["token:introspect"])
    learn_service_keys(service.world)
    return key
