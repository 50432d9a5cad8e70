"""The gate: no RPC that can answer with tokens does so for an account or a tenant that may have none (LG-06).

Which RPCs those are is read from the descriptors. One that is not in `WAYS` fails the first test, and one that
forgets the gate fails the matrix.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from sqlalchemy import update
from tests.company import accept
from tests.e2e.contract import methods, name_of
from tests.residents import app_of, invitation, join, resident
from tests.running import PASSWORD, Refusal, Running, bearer, outcome
from tests.second_factor import challenged, verify
from tests.test_contract import RPCS

from identity.domain.accounts import Account
from identity.domain.tenants import Tenant
from identity.store.tables import accounts, tenants
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1.resources_pb2 import SessionTokens

Call = partial[Awaitable[Message]]


@dataclass
class Ready:
    """Somebody one call away from tokens: whose account and tenant decide, and that call."""

    account: Account
    tenant: Tenant
    call: Call


# The ways to tokens, each up to its last step.


async def log_in(service: Running) -> Ready:
    who = resident(service)
    request = auth.LoginRequest(identifier=who.email, password=PASSWORD)
    return Ready(who.account, who.tenant, partial(service.auth.Login, request))


async def select_tenant(service: Running) -> Ready:
    who = resident(service)
    join(service, who.account)
    answer = await service.auth.Login(auth.LoginRequest(identifier=who.email, password=PASSWORD))
    token, tenant_id = answer.tenant_choice.challenge_token, str(who.tenant.id)
    request = auth.SelectTenantRequest(challenge_token=token, tenant_id=tenant_id)
    return Ready(who.account, who.tenant, partial(service.auth.SelectTenant, request))


async def verify_otp(service: Running) -> Ready:
    who = resident(service)
    app = app_of(service, who.account)
    request = verify(await challenged(service, who.email), totp=app.at(service.clock.now))
    return Ready(who.account, who.tenant, partial(service.auth.VerifyOtp, request))


async def refresh(service: Running) -> Ready:
    who = resident(service)
    tokens = (await service.login(who.email)).tokens
    request = sessions.RefreshSessionRequest(refresh_token=tokens.refresh_token)
    return Ready(who.account, who.tenant, partial(service.sessions.RefreshSession, request))


async def refresh_again(service: Running) -> Ready:
    """With the token before the newest one, which gets the same answer for a while."""
    ready = await refresh(service)
    await ready.call()
    return ready


async def switch_tenant(service: Running) -> Ready:
    who = resident(service)
    metadata = bearer((await service.login(who.email)).tokens.access_token)
    request = sessions.SwitchTenantRequest(tenant_id=str(who.tenant.id))
    return Ready(who.account, who.tenant, partial(service.sessions.SwitchTenant, request, metadata=metadata))


async def accept_as_a_member(service: Running) -> Ready:
    who, host = resident(service), resident(service)
    metadata = bearer((await service.login(who.email)).tokens.access_token)
    request = invites.AcceptInviteRequest(token=invitation(service, host, who.email))
    return Ready(who.account, host.tenant, partial(service.invites.AcceptInvite, request, metadata=metadata))


async def accept_as_a_newcomer(service: Running) -> Ready:
    """For an account whose address was never proven until now: a new password undoes all but a ban (RC-08)."""
    who, host = resident(service, email_verified_at=None), resident(service)
    request = accept(invitation(service, host, who.email))
    return Ready(who.account, host.tenant, partial(service.invites.AcceptInvite, request))


async def register(service: Running) -> Ready:
    """With an address that is taken, which nobody is told."""
    who = resident(service)
    request = auth.RegisterRequest(email=who.email, password=PASSWORD)
    return Ready(who.account, who.tenant, partial(service.auth.Register, request))


async def set_up(service: Running) -> Ready:
    """In a place that nobody has set up."""
    who = resident(service)
    request = auth.SetupRequest(email=who.email, password=PASSWORD, tenant_name="Acme")
    return Ready(who.account, who.tenant, partial(service.auth.Setup, request))


# The states that somebody can be in by then.


def of_account(**columns: Any) -> Callable[[Running, Ready], None]:
    def happen(service: Running, ready: Ready) -> None:
        service.execute(update(accounts).where(accounts.c.id == ready.account.id).values(columns))

    return happen


def suspend(service: Running, ready: Ready) -> None:
    service.execute(update(tenants).where(tenants.c.id == ready.tenant.id).values(suspended_at=service.clock.now))


def expire(service: Running, ready: Ready) -> None:
    of_account(require_password_change=True, password_expires_at=service.clock.now)(service, ready)


def delete(service: Running, ready: Ready) -> None:
    service.world.database.write(lambda tx: tx.accounts.remove(ready.account.id))


STATES: dict[str, Callable[[Running, Ready], None]] = {
    "disabled": of_account(status="disabled"),
    "locked": of_account(status="locked"),
    "unverified": of_account(email_verified_at=None),
    "suspended": suspend,
    "pending": of_account(require_password_change=True),
    "expired": expire,
    "deleted": delete,
}

# What each way answers, state by state in the order of STATES. TOKENS: nothing stands in the way, and the docstring of
# the way says why. RESTRICTED: tokens that can do nothing but change the password (PW-07). NONE: an answer without any.
TOKENS, RESTRICTED, NONE = "tokens", "restricted", "none"
Way = Callable[[Running], Awaitable[Ready]]
WAYS: dict[str, dict[Way, list[str]]] = {
    "AuthService.Login": {
        log_in: [
            *("INVALID_CREDENTIALS", "ACCOUNT_LOCKED", "EMAIL_NOT_VERIFIED", "INVALID_CREDENTIALS"),
            *(RESTRICTED, "INVALID_CREDENTIALS", "INVALID_CREDENTIALS"),
        ]
    },
    "AuthService.SelectTenant": {
        select_tenant: [
            *("INVALID_CREDENTIALS", "ACCOUNT_LOCKED", "EMAIL_NOT_VERIFIED", "TENANT_NOT_FOUND"),
            *(RESTRICTED, "INVALID_CREDENTIALS", "TOKEN_INVALID"),
        ]
    },
    "AuthService.VerifyOtp": {
        verify_otp: [
            *("INVALID_CREDENTIALS", "ACCOUNT_LOCKED", "EMAIL_NOT_VERIFIED", "INVALID_CREDENTIALS"),
            *(RESTRICTED, "INVALID_CREDENTIALS", "TOKEN_INVALID"),
        ]
    },
    "AuthService.Register": {register: [NONE] * 7},
    # Not for the deleted one, whose address would set the place up.
    "AuthService.Setup": {set_up: ["EMAIL_TAKEN"] * 6},
    "SessionService.RefreshSession": {
        refresh: ["SESSION_REVOKED"] * 6 + ["TOKEN_INVALID"],
        refresh_again: ["SESSION_REVOKED"] * 6 + ["TOKEN_INVALID"],
    },
    "SessionService.SwitchTenant": {
        switch_tenant: [
            *("INVALID_CREDENTIALS", "ACCOUNT_LOCKED", "EMAIL_NOT_VERIFIED", "TENANT_NOT_FOUND"),
            *("PASSWORD_CHANGE_REQUIRED", "INVALID_CREDENTIALS", "SESSION_REVOKED"),
        ]
    },
    "InviteService.AcceptInvite": {
        accept_as_a_member: [
            *("INVALID_CREDENTIALS", "ACCOUNT_LOCKED", "SIGN_IN_REQUIRED", "INVALID_CREDENTIALS"),
            *("PASSWORD_CHANGE_REQUIRED", "INVALID_CREDENTIALS", "SESSION_REVOKED"),
        ],
        accept_as_a_newcomer: ["INVALID_CREDENTIALS", TOKENS, TOKENS, "INVALID_CREDENTIALS", TOKENS, TOKENS, TOKENS],
    },
}


def holds_tokens(message: Descriptor, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a message of this type can carry tokens, however deep inside."""
    if message.full_name == SessionTokens.DESCRIPTOR.full_name:
        return True
    inside = [field.message_type for field in message.fields if field.message_type is not None]
    return any(holds_tokens(each, seen | {message.full_name}) for each in inside if each.full_name not in seen)


def tokens_in(message: Message) -> Iterator[SessionTokens]:
    """The tokens that a message does carry."""
    for field, value in message.ListFields():
        if field.message_type is None or field.is_repeated:
            continue
        if isinstance(value, SessionTokens):
            yield value
        else:
            yield from tokens_in(value)


async def came_to(service: Running, answer: Message | Refusal) -> str:
    """What an answer means, in the words of the matrix."""
    if isinstance(answer, Refusal):
        return answer.reason
    given = list(tokens_in(answer))
    if not given:
        return NONE
    restricted = (await service.get_session(given[0].access_token)).session.restricted
    assert not restricted or not given[0].HasField("refresh_token")
    return RESTRICTED if restricted else TOKENS


def test_LG_06_the_matrix_knows_every_rpc_with_tokens() -> None:
    """An RPC whose answer can hold tokens has to come here, with its way and with what it answers in each state."""
    assert WAYS.keys() == {name_of(method) for method in methods() if holds_tokens(method.output_type)}


@pytest.mark.parametrize(
    ("rpc", "way", "state", "expected"),
    [
        pytest.param(rpc, way, state, expected, id=f"{way.__name__}-{state}")
        for rpc, ways in WAYS.items()
        for way, answers in ways.items()
        for state, expected in zip(STATES, answers, strict=False)
    ],
)
async def test_LG_06_N_05_N_18_nobody_gets_past_the_gate(
    service: Running, rpc: str, way: Way, state: str, expected: str
) -> None:
    """What changes before the last step is seen by the last step; its reason is one that the contract documents."""
    ready = await way(service)
    STATES[state](service, ready)

    answer = await outcome(ready.call())

    assert await came_to(service, answer) == expected
    if isinstance(answer, Refusal):
        assert answer.reason in next(dict(each.errors()) for each in RPCS if str(each) == rpc)


@pytest.mark.parametrize("way", [accept_as_a_member, accept_as_a_newcomer], ids=lambda way: way.__name__)
async def test_LG_06_an_invitation_that_the_gate_refuses_is_not_used_up(service: Running, way: Way) -> None:
    """Nobody has joined and nothing has changed, and once the gate opens the same token is good."""
    ready = await way(service)
    STATES["disabled"](service, ready)
    before = service.account(ready.account.email or "")
    assert isinstance(await outcome(ready.call()), Refusal)
    assert service.account(ready.account.email or "") == before
    service.execute(update(accounts).where(accounts.c.id == ready.account.id).values(status="active"))
    assert await came_to(service, await outcome(ready.call())) == TOKENS
