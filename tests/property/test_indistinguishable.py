"""P-07: what exists for others, and what does not, are answered alike to the byte (LG-01, RC-03, AZ-02, Z-24, N-13).

Pairs of calls that differ in one value, an address, a number, a tenant, a token or an id, which stands for something
in one of them and for nothing in the other; in drawn contexts, and several times in a row. Time is measured elsewhere
(`tests/e2e/test_timing.py`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from operator import attrgetter
from typing import Any

import pytest_asyncio
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from tests.company import Person, company, invited, member
from tests.property.exploring import Bridge, explore
from tests.running import OTHER_PASSWORD, WRONG_PASSWORD, Metadata, Refusal, Running, outcome

from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions

UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_numbers = count(1)


@dataclass(frozen=True)
class Context:
    """What a call brings along beside the one value."""

    source: str
    user_agent: str
    locale: str
    origin: resources.Origin.ValueType
    device: str
    remember: bool
    tenant: str

    @property
    def metadata(self) -> Metadata:
        return (("x-client-ip", self.source), ("x-client-user-agent", self.user_agent))


CONTEXTS = st.builds(
    Context,
    source=st.ip_addresses(v=4, network="10.0.0.0/8").map(str),
    user_agent=st.sampled_from(["curl/8", "Mozilla/5.0 (X11)", "x"]),
    locale=st.sampled_from(["en", "fr", "nl"]),
    origin=st.sampled_from(resources.Origin.values()),
    device=st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=8),
    remember=st.booleans(),
    tenant=st.sampled_from(["", "a-place-that-is-not"]),
)


@dataclass
class Town:
    """Who and what is there, for somebody who owns a company of their own and must not know."""

    service: Running
    own: Person
    other: Person
    ids: dict[str, str]
    people: list[str]
    tokens: dict[str, str]


def somebody() -> str:
    """An address as long as any other."""
    return f"{next(_numbers):09}@example.org"


# Calls by the value that exists or does not.

Ask = Callable[[Running, str, Context], Any]


def login(service: Running, who: str, given: Context) -> Any:
    request = auth.LoginRequest(
        identifier=who,
        password=WRONG_PASSWORD,
        device=resources.Device(name=given.device),
        origin=given.origin,
        remember=given.remember,
        locale=given.locale,
    )
    if given.tenant:
        request.tenant_slug = given.tenant
    return service.auth.Login(request, metadata=given.metadata)


def change_password(service: Running, who: str, given: Context) -> Any:
    change = auth.ChangePasswordRequest(identifier=who, current_password=WRONG_PASSWORD, new_password=OTHER_PASSWORD)
    return service.auth.ChangePassword(change, metadata=given.metadata)


def verify_credentials(service: Running, who: str, given: Context) -> Any:
    credentials = auth.OtpCredentials(
        identifier=who, password=WRONG_PASSWORD, device=resources.Device(fingerprint=given.device)
    )
    verify = auth.VerifyOtpRequest(credentials=credentials, otp="123456")
    return service.auth.VerifyOtp(verify, metadata=given.metadata)


def send_otp(service: Running, who: str, given: Context) -> Any:
    return service.auth.SendOtp(auth.SendOtpRequest(identifier=who, locale=given.locale), metadata=given.metadata)


def request_reset(service: Running, who: str, given: Context) -> Any:
    ask = auth.RequestPasswordResetRequest(identifier=who, locale=given.locale, origin=given.origin)
    if given.tenant:
        ask.tenant_slug = given.tenant
    return service.auth.RequestPasswordReset(ask, metadata=given.metadata)


def resend_verification(service: Running, who: str, given: Context) -> Any:
    ask = auth.ResendVerificationRequest(email=who, locale=given.locale, origin=given.origin)
    return service.auth.ResendVerification(ask, metadata=given.metadata)


def register(service: Running, who: str, given: Context) -> Any:
    wish = auth.RegisterRequest(
        email=who,
        password=OTHER_PASSWORD,
        first_name="Ada",
        locale=given.locale,
        origin=given.origin,
        device=resources.Device(name=given.device),
    )
    return service.auth.Register(wish, metadata=given.metadata)


PEOPLE: list[Ask] = [
    *(login, change_password, verify_credentials, send_otp, request_reset, resend_verification, register),
]
BY_TOKEN: dict[str, Callable[[str], Message]] = {
    "auth.VerifyEmail": lambda t: auth.VerifyEmailRequest(token=t),
    "auth.ValidatePasswordReset": lambda t: auth.ValidatePasswordResetRequest(token=t),
    "auth.ResetPassword": lambda t: auth.ResetPasswordRequest(token=t, new_password=OTHER_PASSWORD),
    "auth.UnlockAccount": lambda t: auth.UnlockAccountRequest(token=t),
    "auth.SelectTenant": lambda t: auth.SelectTenantRequest(challenge_token=t, tenant_slug="acme"),
    "auth.SendOtp": lambda t: auth.SendOtpRequest(challenge_token=t),
    "auth.VerifyOtp": lambda t: auth.VerifyOtpRequest(challenge_token=t, otp="123456"),
    "sessions.RefreshSession": lambda t: sessions.RefreshSessionRequest(refresh_token=t),
    "sessions.SignOut": lambda t: sessions.SignOutRequest(refresh_token=t),
    "invites.ValidateInvite": lambda t: invites.ValidateInviteRequest(token=t),
    "invites.AcceptInvite": lambda t: invites.AcceptInviteRequest(token=t, password=OTHER_PASSWORD),
    "invites.DeclineInvite": lambda t: invites.DeclineInviteRequest(token=t),
}
BY_ID: dict[str, tuple[str, Callable[[str], Message]]] = {
    "accounts.GetAccount": ("account", lambda id: accounts.GetAccountRequest(id=id)),
    "accounts.UpdateAccount": ("account", lambda id: renaming(id)),
    "accounts.SetAccountStatus": (
        "account",
        lambda id: accounts.SetAccountStatusRequest(id=id, action=accounts.ACCOUNT_ACTION_DISABLE),
    ),
    "accounts.DeleteAccount": ("account", lambda id: accounts.DeleteAccountRequest(id=id)),
    "sessions.ListSessions": ("account", lambda id: sessions.ListSessionsRequest(account_id=id)),
    "sessions.RevokeSessions": (
        "account",
        lambda id: sessions.RevokeSessionsRequest(account_id=id, selection=sessions.SESSION_SELECTION_ALL),
    ),
    "sessions.RevokeSession": ("session", lambda id: sessions.RevokeSessionRequest(id=id)),
    "sessions.RemovePushDevice": ("push device", lambda id: sessions.RemovePushDeviceRequest(id=id)),
    "sessions.SwitchTenant": ("tenant", lambda id: sessions.SwitchTenantRequest(tenant_id=id)),
    "invites.GetInvite": ("invite", lambda id: invites.GetInviteRequest(id=id)),
    "invites.ResendInvite": ("invite", lambda id: invites.ResendInviteRequest(id=id)),
    "invites.RevokeInvite": ("invite", lambda id: invites.RevokeInviteRequest(id=id)),
}


def renaming(id: str) -> accounts.UpdateAccountRequest:
    update = accounts.UpdateAccountRequest(id=id, changes=accounts.AccountChanges(name="Eve"))
    update.update_mask.paths.append("name")
    return update


@pytest_asyncio.fixture(scope="module")
async def town(service: Running) -> Town:
    own, other = await company(service), await company(service)
    disabled, neighbour = await member(service, other), await member(service, other)
    disable = accounts.SetAccountStatusRequest(id=disabled.id, action=accounts.ACCOUNT_ACTION_DISABLE)
    await service.accounts.SetAccountStatus(disable, metadata=other.metadata)
    unproven, proven = await service.registered(somebody()), await service.verified(somebody())
    _, invite = await invited(service, other)
    listed = await service.invites.ListInvites(
        invites.ListInvitesRequest(status=invites.INVITE_STATUS_PENDING), metadata=other.metadata
    )
    device = sessions.RegisterPushDeviceRequest(token="a neighbour's", platform=sessions.PUSH_PLATFORM_WEB)
    pushed = await service.sessions.RegisterPushDevice(device, metadata=neighbour.metadata)
    ids = {
        "account": neighbour.id,
        "session": neighbour.session.session.id,
        "tenant": other.session.tenant.id,
        "invite": listed.invites[0].id,
        "push device": pushed.push_device.id,
    }
    tokens = {
        "Invite": invite,
        "VerifyEmail": await service.mailbox.token(unproven),
        "Password": await service.reset_token(proven),
    }
    own.session = await service.login(own.email)
    return Town(service, own, other, ids, [unproven, proven, disabled.email, neighbour.email], tokens)


async def heard(service: Running, ask: Callable[[], Any], names: list[str]) -> tuple[object, ...]:
    """All that a client gets, but for ids and names, of which every call has its own."""
    call = ask()
    answer = await outcome(call)
    if isinstance(answer, Refusal):
        return answer.on_the_wire
    body = UUID.sub(b"an id", answer.SerializeToString())
    for name in names:
        body = body.replace(name.encode(), b"a name")
    extra = [each for each in await call.trailing_metadata() or () if each[0] != "x-request-id"]
    return body, tuple(await call.initial_metadata() or ()), tuple(extra)


def assert_alike(town: Town, bridge: Bridge, ask: Callable[[str], Any], there: str, not_there: str, turn: bool) -> None:
    """The same is heard of both, in whatever order they are asked for."""
    order = [there, not_there] if turn else [not_there, there]
    said = [bridge.call(heard, town.service, lambda who=who: ask(who), order) for who in order]
    assert said[0] == said[1]


async def test_P_07_N_13_nobody_learns_who_is_here(town: Town) -> None:
    """Whoever is proven, unproven, disabled or a member, and whoever is nobody at all."""
    bridge = Bridge()

    @given(st.sampled_from(PEOPLE), st.integers(0, 3), CONTEXTS, st.integers(1, 3), st.booleans())
    def alike(ask: Ask, which: int, given: Context, times: int, turn: bool) -> None:
        nobody = somebody()
        for _ in range(times):
            assert_alike(town, bridge, lambda who: ask(town.service, who, given), town.people[which], nobody, turn)

    await explore(alike, examples=25, salt=town.service.world.database.dialect)


async def test_P_07_N_27_a_token_of_another_purpose_is_no_token(town: Town) -> None:
    """A mailed secret presented where it does not belong is as unknown as one that was never made."""
    bridge = Bridge()

    @given(st.sampled_from(sorted(BY_TOKEN)), st.sampled_from(sorted(town.tokens)), CONTEXTS, st.booleans())
    def alike(rpc: str, kind: str, given: Context, turn: bool) -> None:
        if kind in rpc:
            return
        method, request = attrgetter(rpc)(town.service), BY_TOKEN[rpc]
        unknown = secrets.token_urlsafe(32)
        ask = lambda token: method(request(token), metadata=given.metadata)  # noqa: E731
        assert_alike(town, bridge, ask, town.tokens[kind], unknown, turn)

    await explore(alike, examples=20, salt=town.service.world.database.dialect)


async def test_P_07_AZ_02_what_is_anothers_does_not_exist(town: Town) -> None:
    """An id of another tenant is an id of nothing, to somebody who may do everything in their own."""
    bridge = Bridge()

    @given(st.sampled_from(sorted(BY_ID)), st.uuids(version=4).map(str), st.booleans())
    def alike(rpc: str, unknown: str, turn: bool) -> None:
        (kind, request), method = BY_ID[rpc], attrgetter(rpc)(town.service)
        ask = lambda id: method(request(id), metadata=town.own.metadata)  # noqa: E731
        assert_alike(town, bridge, ask, town.ids[kind], unknown, turn)

    await explore(alike, examples=25, salt=town.service.world.database.dialect)
